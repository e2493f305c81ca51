r"""p(delta | source, target): how two patches lie to each other.

  idiff-train --config=configs/delta_given_pair.py --config.image=photo.png \
    --workdir=runs/delta

Displacements of up to three pixels on the pixel grid; `triplet` has ranges,
sub-pixel displacements and changes of scale. 4600 steps take about three
minutes on two CPU cores; on a checkerboard 2000 suffice for a total variation
of 0.05 from the exact posterior (idiff-reproduce --experiment=checkerboard).
"""

import ml_collections

from internal_diffusion.configs import default


def get_config() -> ml_collections.ConfigDict:
  """Noise levels are those at which a displacement is in doubt."""
  config = default.get_config()
  config.distribution = 'delta_given_pair'
  config.triplet.vertical = config.triplet.horizontal = (-3, 3)
  config.noise.sigma_min = 0.02
  config.noise.sigma_max = 10.0
  config.sampling.num_steps = 18
  return config
