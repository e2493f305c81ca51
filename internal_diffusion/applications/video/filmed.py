"""The result of every use of a clip."""

from typing import Any, NamedTuple

import numpy as np


class Filmed(NamedTuple):
  """Frames, their uncertainty and samples.

  Attributes:
    mean: Frames of least expected error, [N, H, W, C] in [-1, 1].
    std: Standard deviation of a channel's error, [N, H, W].
    samples: Frames that may be the true ones, [K, N, H, W, C].
    rate: Frames per second.
    found: Facts for the report.
  """

  mean: np.ndarray
  std: np.ndarray
  samples: np.ndarray
  rate: float
  found: dict[str, Any]
