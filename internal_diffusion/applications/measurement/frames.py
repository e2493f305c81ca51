"""Pairs of frames, moved towards each other.

A displacement field d of the middle gives a point m of space the displacement
of the content that is at m - d(m) / 2 in the first frame and at m + d(m) / 2 in
the second. Frames that are both moved by half of it are equal up to noise, have
the same blur from interpolation, and the error of first order in d vanishes.

Interpolation is by splines of fifth order; particles of two pixels are too
small for the cubic.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage

_SPLINE_ORDER = 5
_ILLUMINATION = 20.0  # Standard deviation of its Gaussian averages, in pixels.
_CONTRAST_FLOOR = 0.1  # Over the median contrast.
_BACK_STEPS = 12
_BACK_ERROR = 1e-4  # In pixels.


class FramePair(NamedTuple):
  """Luminance of two frames, without their background, equally bright.

  Attributes:
    first: First frame, [H, W].
    second: Second frame, [H, W].
    usable: Pixels of the first frame that count, [H, W] booleans.
    usable_second: Pixels of the second frame that count.
  """

  first: np.ndarray
  second: np.ndarray
  usable: np.ndarray
  usable_second: np.ndarray


class MovedPair(NamedTuple):
  """A pair moved together.

  Attributes:
    first: First frame at m - d(m) / 2, [H, W].
    second: Second frame at m + d(m) / 2, [H, W].
    visible: Points m that both frames show and that count, [H, W] booleans.
  """

  first: np.ndarray
  second: np.ndarray
  visible: np.ndarray


def flatten_pair(
  first: np.ndarray, second: np.ndarray, ignored: np.ndarray | None
) -> FramePair:
  """Removes the background of two frames and equals their brightness.

  Args:
    first: Luminance of the first frame, [H, W] in [-1, 1].
    second: Luminance of the second frame, [H, W].
    ignored: Mask of pixels of both frames not to measure, [H, W]; None is none.
  """
  if ignored is None:
    ignored = np.zeros(first.shape, bool)
  kept = (~ignored).astype(float)
  weight = _average(kept) + 1e-6

  def flatten(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame without its background, and its local contrast."""
    mean = _average(kept * frame) / weight
    flat = kept * (frame - mean)
    contrast = np.sqrt(_average(flat**2) / weight)
    return flat, contrast + _CONTRAST_FLOOR * np.median(contrast) + 1e-6

  (flat, contrast), (other, other_contrast) = (
    flatten(np.asarray(frame, np.float64)) for frame in (first, second)
  )
  equal = other * (contrast / other_contrast)
  return FramePair(flat, equal, ~ignored, ~ignored)


def move_together(pair: FramePair, field: np.ndarray) -> MovedPair:
  """Moves both frames by half of a field of the middle [2, H, W]."""
  frames = [
    scipy.ndimage.spline_filter(frame, _SPLINE_ORDER)
    for frame in (pair.first, pair.second)
  ]
  return move_splines(frames, pair, field)


def move_splines(
  splines: list[np.ndarray], pair: FramePair, field: np.ndarray
) -> MovedPair:
  """`move_together` for the spline coefficients of both frames."""
  size = field.shape[1:]
  rows, columns = np.indices(size, dtype=np.float64)
  visible = np.ones(size, bool)
  moved = []
  masks = pair.usable, pair.usable_second
  for spline, mask, side in zip(splines, masks, (-0.5, 0.5), strict=True):
    points = [rows + side * field[1], columns + side * field[0]]
    moved.append(
      scipy.ndimage.map_coordinates(
        spline, points, order=_SPLINE_ORDER, mode='mirror', prefilter=False
      )
    )
    visible &= scipy.ndimage.map_coordinates(
      mask.astype(np.uint8), points, order=0, mode='constant'
    ).astype(bool)
  return MovedPair(moved[0], moved[1], visible)


def at_first_frame(
  field: np.ndarray,
  values: np.ndarray,
  *,
  centres: np.ndarray | None = None,
) -> np.ndarray:
  """Values [..., H, W] of the middle at the first frame's pixels.

  A point x of the first frame belongs to the middle point m = x + d(m) / 2,
  which is found by repetition.

  Args:
    field: Field d of the middle, [2, H, W].
    values: What is known at the points of the middle.
    centres: Centre (y, x) of the rigid particle that each point of the middle
      is part of, [2, H, W] integers; None is points that move on their own.
  """
  rows, columns = np.indices(field.shape[1:], dtype=np.float64)
  splines = [scipy.ndimage.spline_filter(part, 3) for part in field]
  own = field
  for _ in range(_BACK_STEPS):
    points = [rows + own[1] / 2, columns + own[0] / 2]
    before, own = own, np.stack([_sample(part, points) for part in splines])
    if np.abs(own - before).max() < _BACK_ERROR:
      break
  points = [rows + own[1] / 2, columns + own[0] / 2]
  if centres is not None:
    height, width = field.shape[1:]
    y, x = (np.rint(part).astype(int) for part in points)
    y, x = centres[:, y.clip(0, height - 1), x.clip(0, width - 1)]
    own = field[:, y, x]
    points = [rows + own[1] / 2, columns + own[0] / 2]
  flat = values.reshape(-1, *field.shape[1:])
  found = [
    scipy.ndimage.map_coordinates(
      part.astype(float), points, order=_SPLINE_ORDER, mode='nearest'
    )
    for part in flat
  ]
  return np.stack(found).reshape(values.shape)


def _sample(spline: np.ndarray, points: list[np.ndarray]) -> np.ndarray:
  return scipy.ndimage.map_coordinates(
    spline, points, order=3, mode='nearest', prefilter=False
  )


def _average(values: np.ndarray) -> np.ndarray:
  return scipy.ndimage.gaussian_filter(values, _ILLUMINATION, truncate=3)
