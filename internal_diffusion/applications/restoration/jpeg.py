"""Restoration of JPEG pictures.

The file says for each coefficient in which cell it is. The loop of restoration
looks for a probable picture in these cells; the result re-encodes to the file.
"""

import jax
import numpy as np

from internal_diffusion.applications.restoration.estimate import (
  Levels,
  Problem,
  estimate,
)
from internal_diffusion.applications.restoration.loop import falling
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.jpeg import JpegCells
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import QuantisationCells

Array = jax.Array

# Noise levels at quality 10 of libjpeg, in grey levels of 255, and the root
# mean square of its steps of low frequencies. Chosen on camera, astronaut,
# coffee, chelsea, brick and rocket of scikit-image.
_FIRST, _LAST, _NUM_STEPS = 14.0, 5.0, 8
_OLD, _GROUPS, _SAMPLE = 12.0, (6.0, 4.0), 28.0
_UNSEEN = 2.2
_STEP_AT_10 = 72.0


@with_own_settings
def restore_jpeg(
  key: Array,
  image: np.ndarray,
  cells: JpegCells,
  *,
  num_samples: int = 0,
  progress: bool = False,
) -> Restored:
  """Restores a picture that was compressed as JPEG.

  Args:
    key: One key.
    image: Decoded picture, [H, W, C].
    cells: Cells of its coefficients.
    num_samples: Number of samples.
    progress: Whether to show a progress bar.
  """
  del image  # The cells say all.

  def problem(cells: JpegCells) -> Problem:
    return Problem(cells.decode(), QuantisationCells(cells))

  def damage(key: Array, truth: Array) -> tuple[Array, Problem]:
    del key
    return truth, problem(cells.encode(truth))

  found = estimate(
    key,
    problem(cells),
    damage,
    noise_levels(cells),
    num_samples=num_samples,
    progress=progress,
  )
  mean = cells.settle(found.scene)
  return from_std(
    np.asarray(mean),
    found.std,
    samples=found.samples,
    found={'kept_coefficients': cells.kept_share(mean)},
  )


def noise_levels(cells: JpegCells) -> Levels:
  """Noise levels for a file.

  They grow with the square root of the steps of the low frequencies, as the
  error of decoded pictures does.
  """
  low = np.sum(np.indices((8, 8)), axis=0) <= 3
  steps = np.asarray(cells.planes[0].steps)[low]
  ratio = np.sqrt(np.sqrt(np.mean(steps**2)) / _STEP_AT_10)
  unit = 2 / 255 * ratio
  return Levels(
    falling(_FIRST * ratio, _LAST * ratio, _NUM_STEPS),
    np.multiply(_GROUPS, unit),
    _OLD * unit,
    _SAMPLE * unit,
    _UNSEEN * unit,
  )
