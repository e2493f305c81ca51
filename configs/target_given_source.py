r"""p(target | source, delta): what lies beside a patch, or one level finer.

  idiff-train --config=configs/target_given_source.py --config.image=photo.png \
    --workdir=runs/target

By default the target is the patch one pyramid level finer at the same place, as
super-resolution and cascaded generation need it. It is the neighbour to the
right with --config.triplet.level_steps='(0,)' and
--config.triplet.horizontal='(7,7)'. 4600 steps take about four minutes on two
CPU cores.
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """One level finer, with noise on the source so that it generalises."""
  config = default.get_config()
  config.distribution = 'target_given_source'
  config.triplet.level_steps = (-1,)
  config.condition.sigma_aug = 0.05
  config.condition.dropout = 0.1
  return config
