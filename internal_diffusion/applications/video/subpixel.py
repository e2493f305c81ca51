"""The error of reading a picture between its pixels.

A frame that moves by whole pixels is moved exactly; one that moves by half a
pixel is interpolated, and what lies beyond the sampling limit comes out wrong.
Known frames of a clip that pans by whole pixels do not show this error, but
a frame half way between them has it.

It is measured at twice the pixel's size, where the truth is known: of means of
2x2 pixels along a line, every second one is left out and interpolated from the
others. Photographs look alike at both sizes, so the error does, too. At a
fraction f of a pixel the variance is sin^2(pi f) times that of half a pixel,
as the error of the finest wave, e^(i pi x), is.
"""

import numpy as np
from scipy import ndimage

_WINDOW = 2.0  # Of the mean squared error, in pixels.


def fraction_weights(shift: np.ndarray) -> np.ndarray:
  """sin^2(pi shift): 0 of whole pixels, 1 of half ones.

  Args:
    shift: Shifts (x, y) in pixels, [H, W, 2].
  """
  return np.sin(np.pi * shift) ** 2


def half_pixel_variance(frame: np.ndarray) -> np.ndarray:
  """Variance of the error of a shift by half a pixel along x and along y.

  Args:
    frame: [H, W, C].

  Returns:
    The mean over channels, [H, W, 2].
  """
  means = ndimage.uniform_filter(frame, (2, 2, 0), mode='mirror')
  squares = np.stack([_squared_errors(means, axis) for axis in (1, 0)], -1)
  return ndimage.gaussian_filter(squares, (_WINDOW, _WINDOW, 0), mode='nearest')


def _squared_errors(frame: np.ndarray, axis: int) -> np.ndarray:
  """Squared errors of pixels between every second one of an axis, [H, W]."""
  along = np.moveaxis(frame, axis, 0)
  errors = np.empty_like(along)
  for first in (0, 1):
    kept, truth = along[first::2], along[1 - first :: 2]
    shift = 0.5 if first else -0.5
    between = ndimage.shift(kept, (shift, 0, 0), order=3, mode='nearest')
    # A last pixel without a neighbour behind it has the last one's value.
    between = between[np.arange(len(truth)).clip(0, len(kept) - 1)]
    errors[1 - first :: 2] = between - truth
  return np.mean(np.moveaxis(errors, 0, axis) ** 2, axis=-1)
