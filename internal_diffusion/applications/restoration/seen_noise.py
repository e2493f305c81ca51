"""Noise of a picture with missing pixels, from its seen pixels.

One seen pixel of each small square makes a smaller picture without holes. Its
noise is that of the picture, and is measured on flat ground as there.
"""

import numpy as np
from scipy import ndimage

from internal_diffusion.data.noise_level import estimate_noise

_MOST_EMPTY = 0.1  # Share of the squares that may have no seen pixel.
_LEAST_SIDE = 16  # Of the smaller picture.
# Texture of a clean picture looks like noise, more where pixels are picked. In
# squares of 3 pixels, clean grass has 28 grey levels on much of its ground.
_LARGEST_SQUARE = 2
_LEAST_NOISE, _LEAST_FLAT = 5.0, 0.03


def noise_of_seen(image: np.ndarray, mask: np.ndarray) -> float:
  """Noise level in grey levels of 255; 0 where it is not significant.

  Args:
    image: [H, W, C]; the values of missing pixels are not used.
    mask: True where a pixel is missing, [H, W].
  """
  largest = min(_LARGEST_SQUARE, min(mask.shape) // _LEAST_SIDE)
  for side in range(1, largest + 1):
    seen = _squares(~mask, side)
    if np.mean(~seen.any(axis=-1)) <= _MOST_EMPTY:
      break
  else:
    return 0.0
  first = np.argmax(seen, axis=-1)[..., None]
  small = np.stack(
    [
      np.take_along_axis(_squares(channel, side), first, axis=-1)[..., 0]
      for channel in np.moveaxis(image, -1, 0)
    ],
    axis=-1,
  )
  empty = ~seen.any(axis=-1)
  # The nearest seen pixel, for the few squares without one.
  nearest = ndimage.distance_transform_edt(
    empty, return_distances=False, return_indices=True
  )
  found = estimate_noise(small[tuple(nearest)])
  is_sure = found.grey_levels >= _LEAST_NOISE and found.flat >= _LEAST_FLAT
  return round(float(found.grey_levels), 2) if is_sure else 0.0


def _squares(values: np.ndarray, side: int) -> np.ndarray:
  """Pixels of squares of an array [H, W], [H // side, W // side, side^2]."""
  height, width = (length // side for length in values.shape)
  cut = values[: height * side, : width * side]
  cut = cut.reshape(height, side, width, side).swapaxes(1, 2)
  return cut.reshape(height, width, side**2)
