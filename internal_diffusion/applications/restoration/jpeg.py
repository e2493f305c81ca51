"""Restoration of JPEG pictures.

The file says for each coefficient in which cell it is. The loop of restoration
looks for a probable picture in these cells; the result re-encodes to the file.

The variance of the error is a fraction of what quantisation has removed, which
the file's own levels tell (`data.jpeg_losses`), spread over the picture as the
removed variance and the variance that the prior leaves. In
samples, each frequency differs from the mean by that energy.
"""

import jax
import numpy as np

from internal_diffusion.applications.restoration.calibration import local_mean
from internal_diffusion.applications.restoration.estimate import (
  Levels,
  Problem,
  RestoredScene,
  Spread,
  estimate,
)
from internal_diffusion.applications.restoration.loop import falling
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data import jpeg_losses
from internal_diffusion.data.jpeg import JpegCells
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import QuantisationCells

Array = jax.Array

# Noise levels at quality 10 of libjpeg, in grey levels of 255, and the root
# mean square of its steps of low frequencies. Chosen on camera, astronaut,
# coffee, chelsea, brick and rocket of scikit-image.
_FIRST, _LAST, _NUM_STEPS = 14.0, 5.0, 8
_OLD, _GROUPS, _SAMPLE = 12.0, (6.0, 4.0), 28.0
_STEP_AT_10 = 72.0
# Standard deviation of the error over that of what quantisation has removed,
# and the part of the removed variance itself in the spread, the rest being the
# prior's: near maximum likelihood on camera, coffee, chelsea, astronaut,
# rocket, coins and brick at qualities 10, 20 and 40.
_REMAINING, _OWN_PART = 0.81, 0.63
_OWN_WINDOW = 2.0  # Pixels, for the local mean of the removed variance.
_FLOOR = 0.5 * 2 / 255  # Smallest standard deviation: rendering.
_MOST_GAIN = 2.0  # Of the distance of a sample from the mean.


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

  def spread_of(key: Array, restored: RestoredScene) -> Spread:
    del key
    return spread(cells, restored)

  found = estimate(
    key,
    Problem(cells.decode(), QuantisationCells(cells)),
    spread_of,
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


def spread(cells: JpegCells, restored: RestoredScene) -> Spread:
  """The error of a restored picture: see the module."""
  lost = jpeg_losses.lost_variances(cells)
  own = jax.device_put(jpeg_losses.pixel_variance(cells, lost))
  total = np.mean(own, axis=(0, 1))
  share = _OWN_PART * _share(local_mean(own, _OWN_WINDOW))
  share += (1 - _OWN_PART) * _share(restored.variance)
  variance = _REMAINING**2 * total * share
  energies = [_REMAINING**2 * np.mean(part, axis=(0, 1)) for part in lost]
  return Spread(
    np.sqrt(variance + _FLOOR**2),
    _MOST_GAIN,
    lambda distance: jpeg_losses.with_energies(cells, distance, energies),
  )


def _share(variance: Array) -> np.ndarray:
  """Variances [H, W, C] over their mean."""
  values = np.asarray(variance, np.float64)
  return values / np.maximum(np.mean(values, axis=(0, 1)), 1e-12)


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
  )
