r"""p(target | source, one level finer): a cascade that makes whole images.

  idiff-train --config=configs/cascade.py --config.image=photo.png \
    --workdir=runs/cascade
  idiff-generate --image=photo.png --workdir=runs/cascade --out=out/

One network, told the level, adds the detail of every level to the one before;
the closed form makes the coarsest. Five minutes of training on two CPU cores.
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """Halvings down to the closed form's coarsest level; all levels alike."""
  config = default.get_config()
  config.distribution = 'cascade'
  config.max_side = 0
  config.patch_size = 9
  config.pyramid.scale_factor = 0.5
  config.pyramid.min_side = 20
  config.pyramid.level_power = 0.0
  config.condition.sigma_aug = 0.1
  config.noise.sigma_min = 0.01
  config.noise.sigma_max = 10.0
  config.batch_size = config.num_references = 256
  config.num_steps = 0
  config.max_minutes = 5.0
  return config
