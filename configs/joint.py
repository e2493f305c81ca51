r"""p(source, target, delta): the joint distribution and its conditionals.

  idiff-train --config=joint --config.image=photo.png --workdir=runs/joint

One model answers the queries of all the others: two fifths of the samples are
trained with source and delta given, two fifths with source and target, one
fifth with nothing. 9000 steps take about six minutes on two CPU cores.
"""

import ml_collections

from internal_diffusion.applications.patches import joint_options
from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The configuration."""
  return default.from_options(joint_options())
