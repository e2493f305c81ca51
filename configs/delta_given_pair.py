r"""p(delta | source, target): the displacement between two patches.

  idiff-train --config=delta_given_pair --config.image=photo.png \
    --workdir=runs/delta

Displacements of up to three pixels on the pixel grid; `triplet` has ranges,
sub-pixel displacements and changes of scale. 4600 steps take about three
minutes on two CPU cores; on a checkerboard 2000 suffice for a total variation
of 0.05 from the exact posterior (idiff-reproduce --experiment=checkerboard).
"""

import ml_collections

from internal_diffusion.applications.patches import delta_given_pair_options
from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """The configuration."""
  return default.from_options(delta_given_pair_options())
