"""Motion between two frames, on the grid of a third one that need not be known.

Let frames be given at times a and b, and let v(x) be the velocity, in pixels
per frame, of what is at x at time 0. If brightness moves along,

  first(x + a v(x)) = second(x + b v(x)).

With w1 and w2 the warped frames, a change dv changes their difference by
(b grad w2 - a grad w1) dv. Each iteration finds the dv of least squared
difference in a Gaussian window around each pixel, with the weights of a robust
loss (Lucas & Kanade 1981; Black & Anandan 1996), from coarse to fine. Times of
opposite signs are interpolation, of equal signs extrapolation, and a = 0 is the
motion of the first frame's own pixels.

Where errors of brightness are Gaussian with variance s^2, that least square is
the mode of a posterior with the covariance

  S = s^2 / N (mean of g g^T + ridge)^-1,  g = b grad w2 - a grad w1,

of N independent pixels in the window: small at a corner, long along an edge,
large on flat ground. A frame with gradient h that is warped along v then has an
error of variance t^2 h^T S h at time t (`warp_variance`).

References:
  Lucas & Kanade 1981, An iterative image registration technique.
  Black & Anandan 1996, The robust estimation of multiple motions.
"""

import numpy as np
from scipy import ndimage

_SCALE = 0.02  # Of the robust loss, in units of brightness.
_RIDGE = 1e-4  # Keeps the motion of flat areas at that of the coarser level.
_NUM_ITERATIONS = 5
_LARGEST_MOVE = 1.0  # Of an iteration, in pixels.
_SMALLEST_SIDE = 16  # Of the coarsest level, in pixels.
_MOST_LEVELS = 5
_MEDIAN = 5  # Side of the median filter that removes outliers, in pixels.
_DERIVATIVE = (-0.5, 0.0, 0.5)
# Number of pixels whose errors count as one, those of all channels, too: errors
# of neighbours go together.
_CORRELATED = 4.0
_NOISE = 2 / 255 / np.sqrt(12)  # Of rounding to 8 bits.


def find_motion(
  first: np.ndarray,
  second: np.ndarray,
  *,
  times: tuple[float, float],
  window: float,
  known: tuple[np.ndarray, np.ndarray] | None = None,
  num_skipped: int = 0,
) -> np.ndarray:
  """Velocity of what is at each pixel at time 0.

  Args:
    first: Frame at time `times[0]`, [H, W, C] in [-1, 1].
    second: Frame at time `times[1]`, of the same shape.
    times: Times of both frames, in frames, not equal.
    window: Standard deviation of the Gaussian window, in pixels.
    known: Masks of the pixels of both frames that count, [H, W] each; None is
      all of them.
    num_skipped: Number of the finest levels that are left out: faster, and less
      exact.

  Returns:
    The velocity (x, y) in pixels per frame, [H, W, 2] float32.

  Raises:
    ValueError: If the shapes differ or the times are equal.
  """
  if np.shape(first) != np.shape(second):
    raise ValueError(
      '`first` and `second` must have one shape, got'
      f' {np.shape(first)} and {np.shape(second)}.'
    )
  if times[0] == times[1]:
    raise ValueError(f'`times` must differ, got {times[0]:g} twice.')
  if known is not None:
    # The mask is one more channel; `_improve` takes it off again.
    first, second = (
      np.concatenate([frame, mask[..., None]], axis=-1)
      for frame, mask in zip((first, second), known, strict=True)
    )
  size = first.shape[:2]
  pyramids = [_pyramid(np.asarray(f, np.float32)) for f in (first, second)]
  pyramids = [p[min(num_skipped, len(p) - 1) :] for p in pyramids]
  velocity = np.zeros((*pyramids[0][-1].shape[:2], 2), np.float32)
  for one, other in zip(*(p[::-1] for p in pyramids), strict=True):
    velocity = _enlarge(velocity, one.shape[:2])
    for _ in range(_NUM_ITERATIONS):
      velocity = _improve(
        one, other, velocity, times, window, is_masked=known is not None
      )
  while velocity.shape[:2] != size:
    finer = [min(2 * a, b) for a, b in zip(velocity.shape, size, strict=False)]
    velocity = _enlarge(velocity, (finer[0], finer[1]))
  return velocity


def warp_along(
  frame: np.ndarray, velocity: np.ndarray, time: float
) -> tuple[np.ndarray, np.ndarray]:
  """A frame seen at time 0: frame(x + time v(x)).

  Args:
    frame: Frame at `time`, or any field, [H, W, C].
    velocity: Velocity (x, y) at time 0, in pixels per frame, [H, W, 2].
    time: Time of the frame, in frames.

  Returns:
    The warped frame by cubic splines, [H, W, C], and a mask of the pixels that
    come from inside of the frame, [H, W].
  """
  if time == 0:
    return frame, np.ones(frame.shape[:2], bool)
  height, width = frame.shape[:2]
  row, column = np.indices((height, width), np.float32)
  row += time * velocity[..., 1]
  column += time * velocity[..., 0]
  inside = (row >= -0.5) & (row <= height - 0.5)
  inside &= (column >= -0.5) & (column <= width - 0.5)
  where = [row.clip(0, height - 1), column.clip(0, width - 1)]
  warped = np.empty(frame.shape, np.float32)
  for channel in range(frame.shape[-1]):
    ndimage.map_coordinates(
      frame[..., channel], where, warped[..., channel], order=3, mode='mirror'
    )
  return warped, inside


def _improve(
  first: np.ndarray,
  second: np.ndarray,
  velocity: np.ndarray,
  times: tuple[float, float],
  window: float,
  *,
  is_masked: bool,
) -> np.ndarray:
  """One iteration: the velocity plus the change of least squared difference."""
  one, other = (
    warp_along(frame, velocity, time)[0]
    for frame, time in zip((first, second), times, strict=True)
  )
  certain = np.ones((*one.shape[:2], 1), np.float32)
  if is_masked:
    certain = np.minimum(one[..., -1:], other[..., -1:]).clip(0, 1) ** 4
    one, other = one[..., :-1], other[..., :-1]
  error = other - one
  along_x, along_y = _gradient(times[1] * other - times[0] * one)
  weight = certain * _robust(error)

  def mean(products: np.ndarray) -> np.ndarray:
    total = np.sum(weight * products, axis=-1)
    return ndimage.gaussian_filter(total, window, mode='nearest', truncate=3)

  xx, yy = mean(along_x**2) + _RIDGE, mean(along_y**2) + _RIDGE
  xy, xe, ye = (
    mean(along_x * along_y),
    mean(along_x * error),
    mean(along_y * error),
  )
  change = np.stack([xy * ye - yy * xe, xy * xe - xx * ye], axis=-1)
  change /= (xx * yy - xy**2)[..., None]
  velocity = velocity + change.clip(-_LARGEST_MOVE, _LARGEST_MOVE)
  return np.stack(
    [ndimage.median_filter(velocity[..., i], _MEDIAN) for i in range(2)], -1
  )


def motion_covariance(
  warped: tuple[np.ndarray, np.ndarray],
  times: tuple[float, float],
  *,
  window: float,
) -> np.ndarray:
  """Posterior covariance of the velocity that both frames were warped along.

  Args:
    warped: Frames at `times`, seen along the velocity, [H, W, C] each.
    times: Times of both frames, in frames, not equal.
    window: Standard deviation of the Gaussian window, in pixels.

  Returns:
    Its entries xx, xy and yy, in squared pixels per frame, [H, W, 3].
  """
  one, other = warped
  error = other - one
  weight = _robust(error)
  along_x, along_y = _gradient(times[1] * other - times[0] * one)

  def mean(products: np.ndarray) -> np.ndarray:
    total = np.sum(weight * products, axis=-1)
    return ndimage.gaussian_filter(total, window, mode='nearest', truncate=3)

  xx, yy = mean(along_x**2) + _RIDGE, mean(along_y**2) + _RIDGE
  xy = mean(along_x * along_y)
  # Of all channels together, as the products are.
  variance = mean(error**2) + _NOISE**2
  num = 4 * np.pi * window**2 / _CORRELATED
  scale = variance / (num * (xx * yy - xy**2))
  return np.stack([scale * yy, -scale * xy, scale * xx], axis=-1)


def warp_variance(
  warped: np.ndarray, covariance: np.ndarray, time: float
) -> np.ndarray:
  """Variance of a warped frame's error that the motion's error causes.

  Args:
    warped: The frame, seen along the motion, [H, W, C].
    covariance: Of the velocity, [H, W, 3], from `motion_covariance`.
    time: Time of the frame, in frames.

  Returns:
    The mean over channels, [H, W].
  """
  x, y = _gradient(warped)
  xx, xy, yy = (own[..., None] for own in np.moveaxis(covariance, -1, 0))
  return time**2 * np.mean(xx * x**2 + 2 * xy * x * y + yy * y**2, axis=-1)


def _gradient(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Derivatives along x and y of a frame [H, W, C]."""
  along_x, along_y = (
    ndimage.correlate1d(frame, _DERIVATIVE, axis, mode='nearest')
    for axis in (1, 0)
  )
  return along_x, along_y


def _robust(error: np.ndarray) -> np.ndarray:
  """Weights of errors, lower for large ones."""
  return 1 / np.sqrt(1 + (error / _SCALE) ** 2)


def _pyramid(frame: np.ndarray) -> list[np.ndarray]:
  """The frame and its halvings, finest first."""
  levels = [frame]
  while len(levels) < _MOST_LEVELS:
    level = levels[-1]
    if min(level.shape[:2]) < 2 * _SMALLEST_SIDE:
      break
    smooth = ndimage.gaussian_filter(level, (0.8, 0.8, 0), mode='nearest')
    levels.append(smooth[::2, ::2])
  return levels


def _enlarge(velocity: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """The velocity of a coarser level at a finer one, in its pixels."""
  old = velocity.shape[:2]
  if old == size:
    return velocity
  zoom = [new / before for new, before in zip(size, old, strict=True)]
  larger = ndimage.zoom(
    velocity, (*zoom, 1), order=1, grid_mode=True, mode='nearest'
  )
  return 2 * larger
