r"""p(patch) at the coarsest level, p(target | source, one level finer) above.

  idiff-train --config=configs/cascade.py --config.image=photo.png \
    --workdir=runs/cascade
  idiff-generate --image=photo.png --workdir=runs/cascade --out=out/

One network, told the level, makes whole images from coarse to fine. Five
minutes of training on two CPU cores.
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """Halvings down to about a patch; the few coarse patches count for more."""
  config = default.get_config()
  config.distribution = 'cascade'
  config.max_side = 0
  config.patch_size = 9
  config.pyramid.scale_factor = 0.5
  config.pyramid.min_side = 12
  config.pyramid.level_power = 0.25
  config.condition.sigma_aug = 0.05
  config.num_steps = 0
  config.max_minutes = 5.0
  return config
