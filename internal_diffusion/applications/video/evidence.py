"""Evidence of a frame from the frames around it, moved along the motion.

Each frame at time t, seen at time 0 along the motion, is an estimate of the
frame at time 0. There are several, because the motion is estimated in windows
of two sizes, and because what does not move is better left alone. The motion
has a covariance, so each estimate has a variance (`motion.warp_variance`). The
base is the mean of the two nearest frames, along both motions, with weights of
1 / variance; everything else is a difference to it, so that any linear
combination keeps the mean brightness (`weights`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video.motion import (
  find_motion,
  motion_covariance,
  warp_along,
  warp_variance,
)
from internal_diffusion.applications.video.subpixel import fraction_weights

WINDOWS = (4.0, 1.5)  # Of the motion, in pixels; the first is the base's.
_BLUR = 1.0  # Of the features that sharpen, in pixels.
_NOISE = 0.0055  # Standard deviation of an estimate at least.
_FARTHER = 1e-6  # Weight of the farther one of two frames on one side.
_WHOLE_PIXELS = np.zeros((1, 1, 2), np.float32)  # Without a fraction.


class Evidence(NamedTuple):
  """Estimates of one frame.

  Attributes:
    base: The weighted mean of the two nearest frames, seen along the motion,
      [H, W, C].
    features: Other estimates minus the base, [H, W, C, J].
    disagreement: What tells of errors, [H, W, M]: of frames around, the mean
      squared difference of the two nearest ones and of the estimates by both
      windows, and the variance that the motion's error causes.
    fractions: sin^2(pi f) of the fractions f of a pixel by which the nearest
      frames are moved along x and y, [H, W, 2]; see `subpixel`.
  """

  base: np.ndarray
  features: np.ndarray
  disagreement: np.ndarray
  fractions: np.ndarray = _WHOLE_PIXELS


class _Moved(NamedTuple):
  """A frame, seen at time 0 along the motion.

  Attributes:
    frame: [H, W, C].
    inside: Mask of the pixels that come from inside of the frame, [H, W].
    variance: Variance of its error that the motion's error causes, [H, W].
  """

  frame: np.ndarray
  inside: np.ndarray
  variance: np.ndarray


def gather(frames: Sequence[np.ndarray], times: Sequence[float]) -> Evidence:
  """Evidence of the frame at time 0.

  Args:
    frames: Known frames, at least two, [H, W, C] each.
    times: Their times, in frames, none of them 0; the first two are the
      nearest, whose motion is used.
  """
  nearest = times[0], times[1]
  pairs: list[list[_Moved]] = []
  others = []
  fractions = _WHOLE_PIXELS
  for window in WINDOWS:
    velocity = find_motion(frames[0], frames[1], times=nearest, window=window)
    pairs.append(_move(frames, velocity, nearest, window))
    if window == WINDOWS[0]:
      fractions = _fractions(velocity, nearest)
      others = [
        warp_along(frame, velocity, time)
        for frame, time in zip(frames[2:], times[2:], strict=True)
      ]
  bases = [_weighted_mean([pair], nearest) for pair in pairs]
  base = _weighted_mean(pairs, nearest)
  ones = [(one.frame, one.inside) for one in (pairs[0][0], *pairs[1])]
  features = [
    np.where(inside[..., None], moved - base, 0)
    for moved, inside in ones + others
  ]
  features += [frame - base for frame in (bases[0], *frames)]
  features += [_blurred(one) - one for one in bases]
  terms = [
    _difference(*pairs[0]),
    np.mean((bases[0] - bases[1]) ** 2, axis=-1),
    (pairs[0][0].variance + pairs[0][1].variance) / 2,
  ]
  return Evidence(base, np.stack(features, -1), np.stack(terms, -1), fractions)


def _move(
  frames: Sequence[np.ndarray],
  velocity: np.ndarray,
  times: tuple[float, float],
  window: float,
) -> list[_Moved]:
  """Both nearest frames along a motion, with what its uncertainty means."""
  (one, one_inside), (other, other_inside) = (
    warp_along(frame, velocity, time)
    for frame, time in zip(frames[:2], times, strict=True)
  )
  covariance = motion_covariance((one, other), times, window=window)
  return [
    _Moved(moved, inside, warp_variance(moved, covariance, time))
    for moved, inside, time in (
      (one, one_inside, times[0]),
      (other, other_inside, times[1]),
    )
  ]


def _weighted_mean(
  pairs: Sequence[Sequence[_Moved]], times: tuple[float, float]
) -> np.ndarray:
  """Mean of estimates with weights 1 / variance, [H, W, C].

  The variance is that of the motion's error and of what the two frames of a
  pair disagree in. The nearer frame has more weight: linear interpolation in
  time, or, where both are on one side, the nearer one alone. What lies outside
  of its frame hardly counts.
  """
  near, far = (abs(time) for time in times)
  nearness = (far, near) if times[0] * times[1] < 0 else (1.0, _FARTHER)
  total = np.zeros(pairs[0][0].frame.shape[:2])
  values = np.zeros(pairs[0][0].frame.shape)
  for pair in pairs:
    error = ndimage.gaussian_filter(_difference(*pair), 1.0, mode='nearest')
    for near_weight, one in zip(nearness, pair, strict=True):
      variance = _NOISE**2 + error / 4 + one.variance
      own = near_weight * (one.inside + np.float32(1e-6)) / variance
      values = values + own[..., None] * one.frame
      total = total + own
  return (values / total[..., None]).astype(np.float32)


def _fractions(velocity: np.ndarray, times: tuple[float, float]) -> np.ndarray:
  """sin^2(pi f) of the fractions of the frames that the base is made of."""
  if times[0] * times[1] > 0:
    times = times[0], times[0]
  return np.mean([fraction_weights(time * velocity) for time in times], axis=0)


def _difference(one: _Moved, other: _Moved) -> np.ndarray:
  """Mean squared difference of two frames, [H, W]."""
  return np.mean((one.frame - other.frame) ** 2, axis=-1)


def _blurred(image: np.ndarray) -> np.ndarray:
  return ndimage.gaussian_filter(image, (_BLUR, _BLUR, 0), mode='nearest')
