"""How well two frames agree around each pixel, once they are moved together."""

import numpy as np
import scipy.ndimage

from internal_diffusion.applications.measurement import frames, refine

_MIN_WINDOW = 12  # Side in pixels of the window of a correlation.


def local_average(values: np.ndarray, window: float) -> np.ndarray:
  """Averages of values [H, W] over square windows of a side in pixels."""
  side = max(_MIN_WINDOW, round(window))
  return scipy.ndimage.uniform_filter(
    np.asarray(values, np.float64), side, mode='constant'
  )


def local_correlation(
  pair: frames.FramePair, found: refine.Refined
) -> np.ndarray:
  """Correlation of the denoised frames around the points of the middle."""
  moved = frames.move_together(pair, found.field)
  average = (moved.first + moved.second) / 2
  residual = found.residuals.residual
  shared = found.residuals.average
  # The same filter for both: their average is `shared`, and half of their
  # difference is what it lets through of the residual.
  half = refine.denoise_like(average, residual, residual / 2)
  first, second = shared - half, shared + half
  return correlation_of(first, second, window=float(np.mean(found.window)))


def correlation_of(
  first: np.ndarray, second: np.ndarray, *, window: float = 16.0
) -> np.ndarray:
  """Correlation of two frames [H, W] around each pixel, [H, W].

  Args:
    first: First frame.
    second: Second frame, moved onto it.
    window: Side of the windows, in pixels.
  """
  parts = first, second, first * second, first**2, second**2
  mean, other, product, square, other_square = (
    local_average(part, window) for part in parts
  )
  shared = product - mean * other
  scale = np.sqrt(np.maximum((square - mean**2) * (other_square - other**2), 0))
  return shared / np.maximum(scale, 1e-9 + 1e-3 * np.median(scale))
