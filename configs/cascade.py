r"""p(target | source, one level finer): a cascade that makes whole images.

  idiff-train --config=cascade --config.image=photo.png --workdir=runs/cascade
  idiff-generate --image=photo.png --workdir=runs/cascade --out=out/

One network, conditioned on the level, adds the detail of every level to the
next coarser one; the closed form makes the coarsest. Five minutes of training
on two CPU cores.
"""

import ml_collections

from internal_diffusion.applications.patches import cascade_options
from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The configuration; the photograph keeps its size."""
  config = default.from_options(cascade_options())
  config.max_side = 0
  return config
