r"""p(target | source, delta): a neighbour of a patch, or the next finer level.

  idiff-train --config=target_given_source --config.image=photo.png \
    --workdir=runs/target

By default the target is the patch one pyramid level finer at the same place, as
super-resolution and cascaded generation need it. It is the neighbour to the
right with --config.triplet.level_steps='(0,)' and
--config.triplet.horizontal='(7,7)'. 4600 steps take about four minutes on two
CPU cores.
"""

import ml_collections

from internal_diffusion.applications.patches import target_given_source_options
from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The configuration: one level finer, with noise on the source."""
  return default.from_options(target_given_source_options())
