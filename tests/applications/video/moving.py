"""Clips with known motion: a smooth pattern that moves at a known velocity."""

import numpy as np
from scipy import ndimage


def pattern(num_channels=3):
  """A smooth random picture, [96, 96, C] in [-0.9, 0.9]."""
  noise = np.random.default_rng(0).normal(size=(96, 96, num_channels))
  smooth = ndimage.gaussian_filter(noise, (1.5, 1.5, 0), mode='wrap')
  return 0.9 * smooth / np.abs(smooth).max()


def moved(velocity, num_frames, *, size=(48, 56), num_channels=3):
  """Frames [T, H, W, C] whose content moves by `velocity` (x, y) a frame."""
  picture = pattern(num_channels)
  rows, columns = np.indices(size, np.float64)
  frames = []
  for time in range(num_frames):
    where = [
      rows + 20 - time * velocity[1],
      columns + 20 - time * velocity[0],
    ]
    frames.append(
      np.stack(
        [
          ndimage.map_coordinates(picture[..., c], where, order=3)
          for c in range(num_channels)
        ],
        axis=-1,
      )
    )
  return np.stack(frames).astype(np.float32)
