"""How far an upscaled image may be from the truth, pixel by pixel.

The error is taken to be a Gaussian around the mean whose variance is

  w^2 (mean of (sample - mean)^2 over samples and a small window) + q^2.

The window makes up for samples being few. q is half a grey level of an 8-bit
image, the rounding of what an image is read from. w makes up for samples that
differ too little: enlarging five photographs' own smaller versions, where the
truth is known, their spread is 0.77 to 0.92 of the mean's error, which asks for
1.1 to 1.3. Within that, w was chosen by coverage of the true large images of
the same five (Set5, x2), so their coverage is no independent test of it.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, stats

WIDENING = 1.25
_WINDOW_STDDEV = 1.0  # Pixels.
_ROUNDING = 0.5 / 127.5
_LEVEL = 0.9


class Uncertainty(NamedTuple):
  """All [H, W, C] float32.

  Attributes:
    std: Standard deviation of the error.
    low: Lower end of the interval that holds 90% of the truth.
    high: Its upper end.
  """

  std: np.ndarray
  low: np.ndarray
  high: np.ndarray


def uncertainty_of(mean: np.ndarray, samples: np.ndarray) -> Uncertainty:
  """The uncertainty of an upscaled image.

  Args:
    mean: [H, W, C] in [-1, 1].
    samples: [K, H, W, C].

  Raises:
    ValueError: If there is no sample, or they have another shape.
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
  reach = np.float32(stats.norm.ppf((1 + _LEVEL) / 2))
  return Uncertainty(
    std,
    np.clip(mean - reach * std, -1, 1),
    np.clip(mean + reach * std, -1, 1),
  )
