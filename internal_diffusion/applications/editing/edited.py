"""What an edit returns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Edited(NamedTuple):
  """Several answers to one edit, and how much they differ.

  Attributes:
    samples: Edited pictures, [K, H, W, C] float32 in [-1, 1].
    std: Standard deviation between the samples, [H, W, C]; zeros for one.
    found: What was done, by name: numbers, texts and lists, for reports.
    traces: Pyramid levels of each sample, finest first, [h, w, C]; empty where
      they are not made level by level.
  """

  samples: np.ndarray
  std: np.ndarray
  found: dict[str, Any]
  traces: Sequence[Sequence[np.ndarray]] = ()


def from_samples(samples: np.ndarray, found: dict[str, Any]) -> Edited:
  """A result with the standard deviation between its samples.

  Args:
    samples: [K, H, W, C] with K of at least 1; clipped to [-1, 1].
    found: See `Edited`.

  Example:
    >>> from_samples(np.array([[[[0.0]]], [[[1.0]]]]), {}).std.item()
    0.5
  """
  samples = np.clip(np.asarray(samples, np.float32), -1, 1)
  return Edited(samples, samples.std(axis=0), found or {})
