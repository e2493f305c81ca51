"""The start of a measurement: correlation of windows, from large to small.

A window of the first frame is compared with the second frame at all shifts
within a reach by the normalised cross-correlation, computed by FFT. The
highest peak, with a parabola through the logs of its neighbours, is the
displacement. A vector that is far from its neighbours is an outlier
(Westerweel & Scarano 2005, Universal outlier detection for PIV data). The other
vectors are fitted by a smooth field, and both frames are moved by half of it
towards each other before the next, smaller windows are compared.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage

from internal_diffusion.applications.measurement.frames import (
  FramePair,
  move_together,
)
from internal_diffusion.applications.measurement.smooth_field import SplineGrid

_PASSES = ((64, 32), (48, 8), (32, 4), (24, 3))  # Windows and their reaches.
_STEPS = 3  # Windows along a window's side.
_OUTLIER = 2.5  # Bound on a normalised difference from the neighbours.
_NOISE = 0.3  # Difference in pixels that is no sign of an outlier.
_MIN_CORRELATION = 0.1
_SMOOTHING = 1.5  # Side of the smooth field's window, in windows.
_BORDER = 0.1  # Weight of the outermost vectors at the border.
_MAX_BATCH = 256  # Windows compared at once.


class _Vectors(NamedTuple):
  """Displacements (u, v) on a grid, [2, m, n], and their correlation [m, n]."""

  displacement: np.ndarray
  correlation: np.ndarray


def find_start(pair: FramePair, grid: SplineGrid) -> np.ndarray:
  """Coefficients of the start of a field, [2, m, n].

  The field is that of the points in the middle between both frames; see
  `frames`.
  """
  coefficients = grid.zeros()
  size = pair.first.shape
  for window, reach in _PASSES:
    window, reach = (min(value, min(size) // 2) for value in (window, reach))
    moved = move_together(pair, grid.field(coefficients))
    tops, lefts = (_places(side, window) for side in size)
    found = _compare(moved.first, moved.second, tops, lefts, window, reach)
    seen = _window_means(moved.visible, tops, lefts, window)
    good = (found.correlation > _MIN_CORRELATION) & (seen > 0.5)
    good &= ~_outliers(found.displacement, good)
    if not good.any():
      continue
    rows, columns = (
      np.rint(places + (window - 1) / 2).astype(int) for places in (tops, lefts)
    )
    at = np.ix_(rows, columns)
    vectors = grid.field(coefficients)[:, *at] + found.displacement
    trust = good * found.correlation.clip(0) ** 2
    values, weight = _with_borders(vectors, trust, rows, columns, size)
    coefficients = grid.fit(values, weight, window=_SMOOTHING * window)
  return coefficients


def _with_borders(
  vectors: np.ndarray,
  trust: np.ndarray,
  rows: np.ndarray,
  columns: np.ndarray,
  size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
  """Vectors [2, m, n] and their weights in a frame, [2, H, W] and [H, W].

  No window is centred at the border. The outermost vectors hold there too, with
  little weight, as the smooth field's own continuation may go far astray.
  """
  around = ((1, 1), (1, 1))
  weak = np.pad(_BORDER * trust, around, mode='edge')
  weak[1:-1, 1:-1] = trust
  height, width = size
  at = np.ix_(np.r_[0, rows, height - 1], np.r_[0, columns, width - 1])
  values, weight = np.zeros((2, height, width)), np.zeros((height, width))
  values[:, at[0], at[1]] = np.pad(vectors, ((0, 0), *around), mode='edge')
  weight[at] = weak
  return values, weight


def _places(side: int, window: int) -> np.ndarray:
  """First pixels of the windows along a side."""
  num = max(2, round(_STEPS * (side - window) / window) + 1)
  return np.rint(np.linspace(0, side - window, num)).astype(int)


def _window_means(
  values: np.ndarray, tops: np.ndarray, lefts: np.ndarray, window: int
) -> np.ndarray:
  windows = np.lib.stride_tricks.sliding_window_view(values, (window, window))
  return windows[np.ix_(tops, lefts)].mean(axis=(2, 3))


def _compare(
  first: np.ndarray,
  second: np.ndarray,
  tops: np.ndarray,
  lefts: np.ndarray,
  window: int,
  reach: int,
) -> _Vectors:
  """The best shift of each window."""
  wide = np.pad(second, reach, mode='reflect')
  own = np.lib.stride_tricks.sliding_window_view(first, (window, window))
  other_side = window + 2 * reach
  other = np.lib.stride_tricks.sliding_window_view(
    wide, (other_side, other_side)
  )
  places = np.stack(np.meshgrid(tops, lefts, indexing='ij'), -1).reshape(-1, 2)
  parts = [
    _peaks(own[*batch.T], other[*batch.T], reach)
    for batch in np.array_split(places, -(-len(places) // _MAX_BATCH))
  ]
  shape = len(tops), len(lefts)
  displacement = np.concatenate([part[0] for part in parts])
  correlation = np.concatenate([part[1] for part in parts])
  return _Vectors(
    np.moveaxis(displacement.reshape(*shape, 2), -1, 0),
    correlation.reshape(shape),
  )


def _peaks(
  own: np.ndarray, other: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
  """Shifts (u, v) [N, 2] and correlations [N] of windows [N, side, side]."""
  window, side = own.shape[-1], other.shape[-1]
  own = own - own.mean(axis=(1, 2), keepdims=True)
  size = scipy.fft.next_fast_len(side, real=True)
  num = 2 * reach + 1

  def correlate(kernel: np.ndarray, values: np.ndarray) -> np.ndarray:
    waves = scipy.fft.rfft2(values, (size, size)) * np.conj(
      scipy.fft.rfft2(kernel, (size, size))
    )
    return scipy.fft.irfft2(waves, (size, size))[:, :num, :num]

  box = np.ones((1, window, window))
  sums, squares = correlate(box, other), correlate(box, other**2)
  energy = np.maximum(squares - sums**2 / window**2, 0)
  own_energy = np.sum(own**2, axis=(1, 2))[:, None, None]
  scale = np.sqrt(own_energy * energy)
  floor = 1e-3 * scale.max() + 1e-12
  plane = correlate(own, other) / np.maximum(scale, floor)
  index = plane.reshape(len(plane), -1).argmax(axis=1)
  row, column = np.divmod(index, num)
  each = np.arange(len(plane))
  highest = plane[each, row, column]
  shift = []
  for along_y, along_x, place in ((0, 1, column), (1, 0, row)):
    before, after = (
      plane[
        each,
        np.clip(row + sign * along_y, 0, num - 1),
        np.clip(column + sign * along_x, 0, num - 1),
      ]
      for sign in (-1, 1)
    )
    at_end = (place == 0) | (place == num - 1)
    shift.append(
      place - reach + np.where(at_end, 0, _top(before, highest, after))
    )
  return np.stack(shift, axis=-1), highest


def _top(before: np.ndarray, top: np.ndarray, after: np.ndarray) -> np.ndarray:
  """Place of the highest point of a Gaussian through three values."""
  low = 1e-6
  before, top, after = (
    np.log(np.maximum(values, low)) for values in (before, top, after)
  )
  curvature = before - 2 * top + after
  offset = (before - after) / (2 * np.minimum(curvature, -1e-6))
  return offset.clip(-0.5, 0.5)


def _outliers(displacement: np.ndarray, good: np.ndarray) -> np.ndarray:
  """Mask of vectors [2, m, n] that are far from their neighbours, [m, n]."""
  values = np.where(good, displacement, np.nan)
  around = np.pad(values, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
  windows = np.lib.stride_tricks.sliding_window_view(
    around, (5, 5), axis=(1, 2)
  ).reshape(*values.shape, 25)
  others = np.delete(windows, 12, axis=-1)
  with np.errstate(invalid='ignore'):
    median = _nan_median(others)
    spread = _nan_median(np.abs(others - median[..., None]))
    far = np.abs(values - median) / (spread + _NOISE)
  return ~(np.max(np.nan_to_num(far, nan=np.inf), axis=0) < _OUTLIER)


def _nan_median(values: np.ndarray) -> np.ndarray:
  """Median over the last axis without NaNs; NaN where there is no value."""
  ordered = np.sort(values, axis=-1)
  count = np.sum(np.isfinite(values), axis=-1)
  low, high = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
  middle = np.stack([low, np.minimum(high, values.shape[-1] - 1)], axis=-1)
  return np.take_along_axis(ordered, middle, -1).mean(axis=-1)
