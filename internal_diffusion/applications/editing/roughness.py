"""How rough a picture is around each pixel (after Newson et al. 2014).

Patches that are averaged lose their texture, and the nearest ones of an average
are smooth ones, so the texture of a fill would fade from step to step. Its
roughness is therefore copied with its colours, as further channels of a
picture: the mean absolute differences of neighbouring pixels along both axes,
over a window that is large compared with the texture's grain.
"""

import numpy as np
from scipy import ndimage

_WINDOW = 4.0  # Standard deviation of the window, in pixels.


def roughness(image: np.ndarray, known: np.ndarray) -> np.ndarray:
  """Mean absolute differences along rows and columns, [H, W, 2].

  Args:
    image: [H, W, C]; only known pixels are used.
    known: Whether a pixel is known, [H, W].
  """
  found = []
  for step in ((1, 0), (0, 1)):
    before, after = (
      tuple(slice(k * d, -d * (1 - k) or None) for d in step) for k in (0, 1)
    )
    both = (known[before] & known[after]).astype(np.float32)
    change = np.abs(image[after] - image[before]).mean(axis=-1)
    around = [(0, d) for d in step]
    total, weight = (
      ndimage.gaussian_filter(np.pad(part, around), _WINDOW)
      for part in (both * change, both)
    )
    found.append(total / np.maximum(weight, 1e-6))
  return np.stack(found, axis=-1).astype(np.float32)
