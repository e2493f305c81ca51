"""p(patch): unconditional patches of one photograph, at all pyramid levels.

idiff-train --config=configs/patch.py --config.image=photo.png \
    --workdir=runs/photo
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The defaults are this distribution's."""
  return default.get_config()
