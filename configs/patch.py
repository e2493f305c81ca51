r"""p(patch): unconditional patches of one photograph, at all pyramid levels.

  idiff-train --config=patch --config.image=photo.png --workdir=runs/photo

4600 steps take about four minutes on two CPU cores. A classifier then tells
the patches from real ones with an accuracy of about 0.58
(benchmarks/RESULTS.md).
"""

import ml_collections

from internal_diffusion.applications.patches import patch_options
from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The configuration: the network adds to a mixture of Gaussians."""
  return default.from_options(patch_options())
