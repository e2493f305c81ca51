r"""p(patch): unconditional patches of one photograph, at all pyramid levels.

  idiff-train --config=configs/patch.py --config.image=photo.png \
    --workdir=runs/photo

4600 steps take about three minutes on two CPU cores; a classifier then tells
the patches from real ones with an accuracy of about 0.58
(benchmarks/RESULTS.md).
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The defaults are this distribution's."""
  return default.get_config()
