"""Evidence of a frame from the frames around it, moved along the motion.

Each frame at time t, seen at time 0 along the motion, is an estimate of the
frame at time 0. There are several, because the motion is estimated in windows
of two sizes, and because what does not move is better left alone. The base is
the mean of the two nearest frames; everything else is a difference to it, so
that any linear combination keeps the mean brightness (`weights`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
)

WINDOWS = (4.0, 1.5)  # Of the motion, in pixels; the first is the base's.
_BLUR = 1.0  # Of the features that sharpen, in pixels.


class Evidence(NamedTuple):
  """Estimates of one frame.

  Attributes:
    base: The mean of the two nearest frames, seen along the motion, [H, W, C].
    features: Other estimates minus the base, [H, W, C, J].
    disagreement: Mean squared difference of the two nearest frames, and of the
      estimates by both windows, [H, W, 2].
  """

  base: np.ndarray
  features: np.ndarray
  disagreement: np.ndarray


def gather(frames: Sequence[np.ndarray], times: Sequence[float]) -> Evidence:
  """Evidence of the frame at time 0.

  Args:
    frames: Known frames, at least two, [H, W, C] each.
    times: Their times, in frames, none of them 0; the first two are the
      nearest, whose motion is used.
  """
  pairs = []
  for window in WINDOWS:
    velocity = find_motion(
      frames[0], frames[1], times=(times[0], times[1]), window=window
    )
    if window == WINDOWS[0]:
      smooth = velocity
    pairs.append([warp_along(frames[i], velocity, times[i]) for i in range(2)])
  bases = [_mean_inside(pair, times[:2]) for pair in pairs]
  base = bases[0]
  ones = [pairs[0][0], *pairs[1]]
  ones += [
    warp_along(frame, smooth, time)
    for frame, time in zip(frames[2:], times[2:], strict=True)
  ]
  features = [
    np.where(inside[..., None], moved - base, 0) for moved, inside in ones
  ]
  features += [frame - base for frame in frames]
  features += [_blurred(one) - one for one in bases]
  between = np.mean((pairs[0][0][0] - pairs[0][1][0]) ** 2, axis=-1)
  windows = np.mean((bases[0] - bases[1]) ** 2, axis=-1)
  return Evidence(
    base=base,
    features=np.stack(features, axis=-1),
    disagreement=np.stack([between, windows], axis=-1),
  )


def _mean_inside(
  pair: Sequence[tuple[np.ndarray, np.ndarray]], times: Sequence[float]
) -> np.ndarray:
  """Mean of two estimates, each alone where the other lies outside.

  The nearer frame has more weight: linear interpolation in time, or, where
  both are on one side, the nearer one alone.
  """
  near, far = (abs(time) for time in times)
  opposite = times[0] * times[1] < 0
  weights = (far, near) if opposite else (1.0, 1e-6)
  total = np.zeros(pair[0][0].shape[:2], np.float32)
  values = np.zeros(pair[0][0].shape, np.float32)
  for weight, (moved, inside) in zip(weights, pair, strict=True):
    own = weight * (inside + np.float32(1e-6))
    values += own[..., None] * moved
    total += own
  return values / total[..., None]


def _blurred(image: np.ndarray) -> np.ndarray:
  return ndimage.gaussian_filter(image, (_BLUR, _BLUR, 0), mode='nearest')
