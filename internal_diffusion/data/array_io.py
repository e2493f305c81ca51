"""Pictures as arrays in .npy files: floats that no picture format can hold.

Such a file has [H, W] or [H, W, C] floats, where 0 is black and 1 is white.
Values beyond are allowed, as noise has them that nobody clipped. A pixel is
missing where a colour is NaN.
"""

import os
import pathlib

import numpy as np

from internal_diffusion.data.image_decoding import max_pixels

EXTENSION = '.npy'
_RANGE = (-8.0, 9.0)  # Noise of one white stays in it; grey levels do not.


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads a picture from a .npy file.

  Args:
    path: Input path of [H, W] or [H, W, C] floats in units of [0, 1], where C
      is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha).

  Returns:
    The picture, float32 [H, W, C]: 2 v - 1 of each value v, not clipped; NaN
    stays NaN.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file does not hold such an array, all colours are NaN, a
      value is infinite or is not in [-8, 9], or alpha is not in [0, 1].
  """
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(f'There is no file `{path}`.')
  try:
    # Mapped, so that a huge file is refused before it is read.
    values = np.load(path, mmap_mode='r', allow_pickle=False)
  except Exception as error:  # NumPy's reader raises many types.
    raise ValueError(f'Cannot read an array in `{path}`: {error}') from error
  try:
    return _to_picture(values)
  except ValueError as error:
    raise ValueError(f'`{path}` {error}') from error


def _to_picture(values: np.ndarray) -> np.ndarray:
  if values.dtype.kind != 'f':
    raise ValueError(
      f'must hold floats in units of [0, 1], got {values.dtype}; divide 8-bit'
      ' values by 255.'
    )
  if values.ndim == 2:
    values = values[..., None]
  if values.ndim != 3 or values.shape[-1] not in (1, 2, 3, 4):
    raise ValueError(
      f'must be [H, W] or [H, W, C] with C from 1 to 4, got shape'
      f' {values.shape}.'
    )
  num_pixels = values.shape[0] * values.shape[1]
  if not 0 < num_pixels <= max_pixels():
    raise ValueError(
      f'must have 1 to {max_pixels()} pixels, got shape {values.shape}.'
    )
  picture = np.asarray(values, np.float32)
  if np.isinf(picture).any() or np.isnan(picture).all():
    raise ValueError('must be finite, got infinite values or nothing but NaN.')
  low, high = float(np.nanmin(picture)), float(np.nanmax(picture))
  if low < _RANGE[0] or high > _RANGE[1]:
    raise ValueError(
      f'must have values about [0, 1], got [{low:g}, {high:g}]; divide grey'
      ' levels of 255 by 255.'
    )
  alpha = picture[..., -1:] if picture.shape[-1] in (2, 4) else picture[:0]
  if not np.all((alpha >= 0) & (alpha <= 1)):
    raise ValueError('must have alpha, its last channel, in [0, 1].')
  return 2 * picture - 1
