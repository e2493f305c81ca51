"""Restoration of JPEG pictures.

The file says for each coefficient in which cell it is. The loop of restoration
looks for a probable picture in these cells; the result re-encodes to the file.
"""

import dataclasses

import jax
import numpy as np

from internal_diffusion.applications.restoration.calibration import (
  Attempt,
  learn_std,
)
from internal_diffusion.applications.restoration.loop import (
  falling,
  restore_by_splitting,
)
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.jpeg import JpegCells
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import QuantisationCells

Array = jax.Array

# Noise levels of the loop at quality 10 of libjpeg, in grey levels of 255, and
# the root mean square of its steps of low frequencies.
_FIRST, _LAST, _NUM_STEPS = 14.0, 5.0, 8
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
  loop_key, sample_key, again_key = jax.random.split(key, 3)
  constraint = QuantisationCells(cells)
  sigmas = noise_levels(cells)
  mean, prior = restore_by_splitting(
    loop_key, cells.decode(), [constraint], sigmas, progress=progress
  )
  mean = cells.settle(mean)

  def restore_again(truth: Array) -> Attempt:
    own = cells.encode(truth)
    damaged = own.decode()
    restored, _ = restore_by_splitting(
      again_key, damaged, [QuantisationCells(own)], sigmas
    )
    return Attempt(truth, restored, damaged)

  std = learn_std(mean, cells.decode(), restore_again)
  samples = draw_samples(
    sample_key,
    dataclasses.replace(prior, stride=2),
    mean,
    num=num_samples,
    sigma=float(sigmas[-1]),
    is_noisy=False,
    constraints=(constraint,),
    progress=progress,
  )
  return from_std(
    np.asarray(mean),
    std,
    samples=samples,
    found={'kept_coefficients': cells.kept_share(mean)},
  )


def noise_levels(cells: JpegCells) -> np.ndarray:
  """Noise levels of the loop for a file.

  They grow with the square root of the steps of the low frequencies, as the
  error of decoded pictures does.
  """
  low = np.sum(np.indices((8, 8)), axis=0) <= 3
  steps = np.asarray(cells.planes[0].steps)[low]
  ratio = np.sqrt(np.sqrt(np.mean(steps**2)) / _STEP_AT_10)
  return falling(_FIRST * ratio, _LAST * ratio, _NUM_STEPS)
