"""What a restoration returns."""

from typing import Any, NamedTuple

import numpy as np

_GAUSSIAN_90 = 1.6449  # Half of the 90% interval, in standard deviations.


class Restored(NamedTuple):
  """A restored picture and its uncertainty.

  Attributes:
    mean: Estimate of least squared error, [H, W, C] float32 in [-1, 1].
    std: Standard deviation of the error of `mean`, [H, W, C].
    low: Lower end of the 90% interval of the clean picture, [H, W, C].
    high: Upper end of it, [H, W, C].
    samples: Samples of the clean picture, [K, H, W, C]; K may be 0.
    found: What was estimated and done, by name: `task`, `sigma` (grey levels
      of 255), `kernel`, `reasons` and so on; numbers, texts and lists.
  """

  mean: np.ndarray
  std: np.ndarray
  low: np.ndarray
  high: np.ndarray
  samples: np.ndarray
  found: dict[str, Any]


def from_std(
  mean: np.ndarray,
  std: np.ndarray,
  *,
  samples: np.ndarray | None = None,
  found: dict[str, Any] | None = None,
) -> Restored:
  """A result whose interval is that of a Gaussian, clipped to [-1, 1].

  Args:
    mean: [H, W, C].
    std: [H, W, C].
    samples: [K, H, W, C]; None for no samples.
    found: See `Restored`.
  """
  if samples is None:
    samples = np.empty((0, *mean.shape), np.float32)
  reach = _GAUSSIAN_90 * std
  pictures = (mean, std, mean - reach, mean + reach, samples)
  mean, std, low, high, samples = (
    np.clip(p, -1, 1).astype(np.float32) for p in pictures
  )
  return Restored(mean, std, low, high, samples, found or {})
