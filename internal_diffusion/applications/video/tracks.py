"""Paths of pixels through a clip, and the colours along them.

The motion between neighbouring frames is estimated from the known pixels alone
and continued smoothly into the holes. A pixel of a hole follows it from frame
to frame; wherever its path meets a known pixel, the clip shows what is behind
the hole.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video.motion import find_motion

_WINDOW = 4.0  # Of the motion, in pixels.
_STILL = 0.05  # Motion that is taken for none, in pixels per frame.
_SMOOTHING = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # Of the continued motion.
_MARGIN = 2  # Pixels around a hole whose motion is not trusted.


class Steps:
  """Motion from each frame to the next and to the one before, when needed."""

  def __init__(self, frames: np.ndarray, known: np.ndarray) -> None:
    """Keeps the frames [T, H, W, C] and the masks of known pixels [T, H, W]."""
    self.frames, self.known = frames, known
    self._found: dict[tuple[int, int], np.ndarray] = {}

  def step(self, index: int, direction: int) -> np.ndarray:
    """Motion (x, y) of the pixels of a frame to a neighbour, [H, W, 2]."""
    name = (index, direction)
    if name not in self._found:
      other = index + direction
      velocity = find_motion(
        self.frames[index],
        self.frames[other],
        times=(0, 1),
        window=_WINDOW,
        known=(self.known[index], self.known[other]),
      )
      velocity = continue_into(velocity, self.known[index])
      length = np.linalg.norm(velocity, axis=-1, keepdims=True)
      self._found[name] = np.where(length < _STILL, 0, velocity)
    return self._found[name]

  def follow(
    self, index: int, points: np.ndarray, direction: int
  ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Where pixels of a frame are in the frames after it, or before it.

    Args:
      index: The frame.
      points: Rows and columns of the pixels, [N, 2].
      direction: 1 for the frames after it, -1 for those before.

    Yields:
      The frame, the positions (row, column) there, [N, 2], and a mask of those
      that have stayed inside, [N].
    """
    where = points.astype(np.float64)
    inside = np.ones(len(points), bool)
    limit = np.array(self.known.shape[1:]) - 1
    while 0 <= index + direction < len(self.frames):
      move = self.step(index, direction)
      where = where + np.stack(
        [sample_at(move[..., axis], where, order=1) for axis in (1, 0)], -1
      )
      index += direction
      inside &= np.all((where >= -0.5) & (where <= limit + 0.5), axis=-1)
      yield index, where, inside


def continue_into(velocity: np.ndarray, known: np.ndarray) -> np.ndarray:
  """The velocity [H, W, 2], replaced in the holes by that of around.

  Each pixel of a hole takes the mean over the narrowest Gaussian window with
  enough known pixels in it.
  """
  if known.all():
    return velocity
  trusted = ndimage.binary_erosion(known, iterations=_MARGIN, border_value=1)
  if not trusted.any():
    return np.zeros_like(velocity)
  found = np.full(velocity.shape, velocity[trusted].mean(axis=0))
  for sigma in reversed(_SMOOTHING):
    weight = ndimage.gaussian_filter(
      trusted.astype(np.float64), sigma, truncate=3
    )
    total = ndimage.gaussian_filter(
      np.where(trusted[..., None], velocity, 0).astype(np.float64),
      (sigma, sigma, 0),
      truncate=3,
    )
    # A smooth passage from the narrow window's mean to the wide one's.
    share = (weight / 0.1).clip(0, 1)[..., None]
    mean = total / np.maximum(weight, 1e-9)[..., None]
    found = share * mean + (1 - share) * found
  return np.where(trusted[..., None], velocity, found).astype(np.float32)


def sample_at(
  values: np.ndarray, where: np.ndarray, *, order: int
) -> np.ndarray:
  """Values [H, W] at positions (row, column) [N, 2], [N]."""
  limit = np.array(values.shape) - 1
  return ndimage.map_coordinates(
    values, where.clip(0, limit).T, order=order, mode='nearest'
  )
