"""Less flicker: a clip averaged with its neighbours along the measured motion.

Frame t becomes (1 - a) x_t + a m_t, where m_t is the mean of the frames before
and after, seen along the motion between them. What moves steadily stays as it
is; what differs from frame to frame is averaged. The share a is the smallest
with no more flicker than wanted.
"""

import numpy as np

from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
)

_WINDOW = 4.0  # Of the motion, in pixels.
_LARGEST_SHARE = 2 / 3  # All three frames alike.
_NUM_BISECTIONS = 6
_MOST_PASSES = 3


def flicker(frames: np.ndarray) -> float:
  """Mean absolute second difference in time of frames [T, H, W, C]."""
  if len(frames) < 3:
    return 0.0
  return float(np.mean(np.abs(np.diff(frames, n=2, axis=0))))


def steady(frames: np.ndarray, wanted: float, *, loop: bool) -> np.ndarray:
  """The frames with at most the wanted flicker, where averages can reach it.

  Args:
    frames: [T, H, W, C] in [-1, 1].
    wanted: Largest `flicker`.
    loop: Whether the last frame leads to the first.
  """
  for _ in range(_MOST_PASSES):
    if len(frames) < 3 or flicker(frames) <= wanted:
      break
    change = _along_motion(frames, loop=loop) - frames
    low, high = 0.0, _LARGEST_SHARE
    if flicker(frames + high * change) <= wanted:
      for _ in range(_NUM_BISECTIONS):
        middle = (low + high) / 2
        if flicker(frames + middle * change) <= wanted:
          high = middle
        else:
          low = middle
    frames = (frames + high * change).astype(np.float32)
  return frames


def _along_motion(frames: np.ndarray, *, loop: bool) -> np.ndarray:
  """Means of the frames before and after, seen along the motion."""
  num = len(frames)
  means = frames.copy()
  for index in range(num):
    before, after = index - 1, index + 1
    if loop:
      before, after = before % num, after % num
    elif before < 0 or after >= num:
      continue
    pair = frames[before], frames[after]
    velocity = find_motion(*pair, times=(-1, 1), window=_WINDOW)
    seen = (
      warp_along(frame, velocity, time)[0]
      for frame, time in zip(pair, (-1, 1), strict=True)
    )
    means[index] = sum(seen) / 2
  return means
