"""What a restoration returns."""

from typing import Any, NamedTuple

import numpy as np


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
