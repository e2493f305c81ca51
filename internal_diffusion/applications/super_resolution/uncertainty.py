"""Uncertainty of an upscaled image, for each pixel.

The error of the mean is modelled as Gaussian with variance

  w^2 (mean of (sample - mean)^2 over samples and a small window) + q^2.

The window makes up for the small number of samples. q is half a grey level of
an 8-bit image, the rounding error of the input. w corrects for samples that
differ too little: on five photographs enlarged from their own smaller versions,
where the truth is known, the spread of samples is 0.77 to 0.92 of the mean's
error, which asks for w from 1.1 to 1.3. Within that interval, w was chosen by
coverage of the true large images of the same five (Set5, x2), so their coverage
is no independent test of it.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

WIDENING = 1.25
_WINDOW_STDDEV = 1.0  # Pixels.
_ROUNDING = 0.5 / 127.5
_CONFIDENCE = 0.9


class Uncertainty(NamedTuple):
  """Uncertainty of an image, each field [H, W, C] float32.

  Attributes:
    std: Standard deviation of the error.
    low: Lower end of the 90% confidence interval.
    high: Upper end of the 90% confidence interval.
  """

  std: np.ndarray
  low: np.ndarray
  high: np.ndarray


def estimate_uncertainty(mean: np.ndarray, samples: np.ndarray) -> Uncertainty:
  """Standard deviation and 90% confidence interval of an upscaled image.

  Args:
    mean: Mean, [H, W, C] in [-1, 1].
    samples: Samples, [K, H, W, C].

  Raises:
    ValueError: If there is no sample, or the shapes do not fit.

  Example:
    >>> mean = np.zeros((8, 8, 1), np.float32)
    >>> found = estimate_uncertainty(mean, np.stack([mean - 0.1, mean + 0.1]))
    >>> found.std.shape
    (8, 8, 1)
  """
  if not len(samples) or samples.shape[1:] != mean.shape:
    raise ValueError(
      f'`samples` must be [K, ...] of shape {mean.shape}, K at least 1, got'
      f' {samples.shape}.'
    )
  # One by one: all samples of a large image at once take gigabytes.
  variance = sum((sample - mean) ** 2 for sample in samples) / len(samples)
  local = ndimage.gaussian_filter(variance, _WINDOW_STDDEV, axes=(0, 1))
  std = np.sqrt(WIDENING**2 * local + _ROUNDING**2).astype(np.float32)
  half_width = np.float32(special.ndtri((1 + _CONFIDENCE) / 2)) * std
  return Uncertainty(
    std,
    np.clip(mean - half_width, -1, 1),
    np.clip(mean + half_width, -1, 1),
  )
