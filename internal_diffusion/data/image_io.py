"""Reading, writing and checking images.

In memory an image is a float32 array [H, W, C] in [-1, 1], with C = 1 (grey) or
C = 3 (sRGB as stored; colour profiles are not applied). -1 is black and 1 is
white: sample k of a file with b bits a channel is 2 k / (2^b - 1) - 1. No other
module handles image files or integer samples; `metadata` has what a file says
beside its pixels.

Only `read_image_with_alpha` and `write_image` keep transparency. Alpha is the
last channel, after grey or RGB: -1 is transparent, 1 is opaque. Colours are not
premultiplied.
"""

import math
import os
import pathlib
import warnings
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion import arrays, files
from internal_diffusion.data import image_decoding, image_encoding
from internal_diffusion.data.metadata import Metadata, for_picture

_PathLike = str | os.PathLike[str]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601.
_RANGE_TOLERANCE = 1e-3


def read_image(
  path: _PathLike, *, channels: int | None = 3, max_side: int | None = None
) -> np.ndarray:
  """Reads the first image of a PNG, JPEG, WebP, TIFF, GIF or BMP file.

  The EXIF orientation is applied, and 16-bit grey and RGB keep their precision.
  Transparent pixels are composited on white. A `UserWarning` names each loss of
  information: transparency, further frames, size, precision.

  Args:
    path: Input path.
    channels: 3 for RGB, 1 for grey (luma of ITU-R BT.601), None to keep the
      file's own.
    max_side: Maximum longest side in pixels; a larger image is downscaled to it
      (Lanczos, antialiased, aspect kept). None is no limit.

  Returns:
    The image, float32 [H, W, 1 or 3] in [-1, 1].

  Raises:
    FileNotFoundError: If there is no such file.
    IsADirectoryError: If the path is a folder.
    ValueError: If the file cannot be read, is too large, or an option is out of
      range.
  """
  if channels not in (1, 3, None):
    raise ValueError(f'`channels` must be 1, 3 or None, got {channels}.')
  if max_side is not None:
    arrays.check_positive_int('max_side', max_side)
  pixels, bit_depth, notes = image_decoding.read_pixels(pathlib.Path(path))
  if pixels.shape[-1] == 2 and bit_depth == 8:
    pixels = pixels.take([0, 0, 0, 1], axis=-1)  # Grey and alpha to RGB.
  if pixels.shape[-1] in (2, 4):
    if np.any(pixels[..., -1] < 1):
      notes.append('transparent pixels are composited on white')
    pixels = _composite_on_white(pixels)
  if channels is not None:
    pixels = _set_channels(pixels, channels)
  # Rounding may lift the luma of white above 1.
  image = np.clip(2 * pixels - 1, -1, 1)
  if max_side is not None and max(image.shape[:2]) > max_side:
    old_size = 'x'.join(map(str, image.shape[:2]))
    image = bound_side(image, max_side=max_side)
    new_size = 'x'.join(map(str, image.shape[:2]))
    notes.append(f'downscaled from {old_size} to {new_size} (height x width)')
  for note in notes:
    warnings.warn(f'`{path}`: {note}.', stacklevel=2)
  return image


def read_image_with_alpha(path: _PathLike) -> tuple[np.ndarray, int]:
  """Reads the first image of a file with its transparency and bit depth.

  Formats, orientation, warnings and errors are those of `read_image`, but grey
  stays grey and transparency is kept. `write_image` accepts both results.

  Args:
    path: Input path.

  Returns:
    The image, float32 [H, W, C] in [-1, 1], where C is 1 (grey), 2 (grey and
    alpha), 3 (RGB) or 4 (RGB and alpha); alpha that is 1 everywhere is dropped.
    And the bits a channel, 8 or 16; fewer count as 8, and floats as 16.
  """
  pixels, bit_depth, notes = image_decoding.read_pixels(pathlib.Path(path))
  if pixels.shape[-1] in (2, 4) and np.all(pixels[..., -1] == 1):
    pixels = pixels[..., :-1]
  for note in notes:
    warnings.warn(f'`{path}`: {note}.', stacklevel=2)
  return 2 * pixels - 1, bit_depth


def without_alpha(image: np.ndarray) -> np.ndarray:
  """The colours [..., 1 or 3] of an image [..., 1 to 4], grey or RGB."""
  return image[..., :3] if image.shape[-1] > 2 else image[..., :1]


def bound_side(image: np.ndarray, *, max_side: int) -> np.ndarray:
  """Downscales an image [H, W, C] in [-1, 1] to a longest side of `max_side`.

  An image that is small enough is returned unchanged.
  """
  if max(image.shape[:2]) <= max_side:
    return image
  # Lanczos overshoots at edges.
  return np.clip(image_decoding.downscale(image, max_side), -1, 1)


def write_image(
  path: _PathLike,
  image: ArrayLike,
  *,
  bit_depth: int = 8,
  metadata: Metadata | None = None,
) -> None:
  """Writes an image in the format of the path's extension.

  The write is atomic and creates missing folders. Except for rounding, all
  formats are lossless but JPEG, which has quality 95. A colour profile is left
  out where it is for another number of channels; TIFF stores no EXIF, WebP no
  DPI, BMP neither EXIF nor a profile.

  Args:
    path: Output path: .png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp.
    image: Floats [H, W, 1 or 3], or [H, W, 2 or 4] with alpha for PNG, TIFF
      and WebP; values outside [-1, 1] are clipped.
    bit_depth: Bits a channel: 8, or 16 for PNG and TIFF.
    metadata: EXIF, colour profile and DPI of the picture that the image was
      made from; None for none.

  Raises:
    ValueError: If the image or an option is invalid.
  """
  path = pathlib.Path(path)
  if path.suffix.lower() not in image_encoding.EXTENSIONS:
    raise ValueError(
      f'`path` must end in one of {", ".join(image_encoding.EXTENSIONS)},'
      f' got `{path}`.'
    )
  if bit_depth not in (8, 16):
    raise ValueError(f'`bit_depth` must be 8 or 16, got {bit_depth}.')
  file_format = image_encoding.EXTENSIONS[path.suffix.lower()]
  if bit_depth == 16 and file_format not in ('PNG', 'TIFF'):
    raise ValueError(f'`bit_depth` 16 needs .png or .tiff, got `{path}`.')
  pixels = _check_floats('image', image, layout='[H, W, C]', with_alpha=True)
  has_alpha = pixels.shape[-1] in (2, 4)
  if has_alpha and file_format not in image_encoding.ALPHA_FORMATS:
    raise ValueError(
      f'`image` with alpha needs .png, .tiff or .webp, got shape {pixels.shape}'
      f' for `{path}`.'
    )
  if metadata is not None:
    metadata = for_picture(metadata, pixels.shape)
  samples = _quantise(pixels, bit_depth)
  files.write_atomically(
    path, image_encoding.encode(samples, file_format, metadata=metadata)
  )


def write_animation(
  path: _PathLike, frames: Sequence[ArrayLike], *, seconds: float = 0.6
) -> None:
  """Writes images [H, W, C] of one size as a GIF, `seconds` for each frame."""
  pixels = [_check_floats('frame', f, layout='[H, W, C]') for f in frames]
  samples = [_quantise(frame, 8) for frame in pixels]
  files.write_atomically(
    path, image_encoding.encode_animation(samples, seconds=seconds)
  )


def make_grid(
  images: ArrayLike,
  *,
  num_columns: int | None = None,
  padding: int = 1,
  zoom: int = 1,
  background: float = 1.0,
) -> np.ndarray:
  """Arranges images in a grid, row by row.

  The top left pixel of the image in row r and column c is at
  `padding + r * (zoom * H + padding)`, `padding + c * (zoom * W + padding)`.

  Args:
    images: Floats [N, H, W, 1 or 3].
    num_columns: Images in a row; None makes the grid about square.
    padding: Pixels between the images and around them.
    zoom: Number of repetitions of a pixel along each axis.
    background: Value of the padding and of empty cells, in [-1, 1].

  Returns:
    The grid, float32 [pixel rows, pixel columns, C].

  Raises:
    ValueError: If the images or an option are invalid.

  Example:
    >>> make_grid(np.zeros((6, 7, 7, 3)), num_columns=3).shape
    (17, 25, 3)
  """
  images = _check_floats('images', images, layout='[N, H, W, C]')
  if num_columns is None:
    num_columns = math.isqrt(len(images) - 1) + 1  # ceil(sqrt(N)) for N >= 1.
  arrays.check_positive_int('num_columns', num_columns)
  arrays.check_positive_int('zoom', zoom)
  if not isinstance(padding, int) or padding < 0:
    raise ValueError(f'`padding` must be an integer >= 0, got {padding!r}.')
  arrays.check_in_range('background', background, -1, 1)
  images = images.repeat(zoom, axis=1).repeat(zoom, axis=2)
  # A cell includes the padding above and left of it; `np.pad` adds the rest.
  num_rows = -(-len(images) // num_columns)
  _, height, width, channels = np.add(images.shape, (0, padding, padding, 0))
  cells = np.full((num_rows * num_columns, height, width, channels), background)
  cells[: len(images), padding:, padding:] = images
  cells = cells.reshape(num_rows, num_columns, height, width, channels)
  grid = cells.swapaxes(1, 2).reshape(num_rows * height, -1, channels)
  margin = ((0, padding), (0, padding), (0, 0))
  grid = np.pad(grid, margin, constant_values=background)
  return grid.astype(np.float32)


def write_grid(
  path: _PathLike,
  images: ArrayLike,
  *,
  num_columns: int | None = None,
  padding: int = 1,
  zoom: int = 1,
  background: float = 1.0,
) -> None:
  """Writes images [N, H, W, C] as one file: `write_image` of `make_grid`."""
  grid = make_grid(
    images,
    num_columns=num_columns,
    padding=padding,
    zoom=zoom,
    background=background,
  )
  write_image(path, grid)


def check_image(
  image: ArrayLike, *, name: str = 'image', with_alpha: bool = False
) -> np.ndarray:
  """Checks an image and converts it to float32.

  Args:
    image: Floats [H, W, 1 or 3], finite and in [-1, 1] up to 1e-3.
    name: Name of the argument, for messages.
    with_alpha: Whether 2 and 4 channels are accepted too.

  Returns:
    The same values, float32 [H, W, C].

  Raises:
    ValueError: If the image is invalid; the message names the reason.
  """
  pixels = _check_floats(name, image, layout='[H, W, C]', with_alpha=with_alpha)
  low, high = pixels.min(), pixels.max()
  if low < -1 - _RANGE_TOLERANCE or high > 1 + _RANGE_TOLERANCE:
    raise ValueError(
      f'`{name}` must have values in [-1, 1], got [{low:g}, {high:g}]; from'
      ' [0, 255], divide by 127.5 and subtract 1.'
    )
  return pixels


def _check_floats(
  name: str, values: ArrayLike, *, layout: str, with_alpha: bool = False
) -> np.ndarray:
  """Checks that values are finite floats of a layout; returns float32."""
  array = np.asarray(values)
  # NumPy's own `issubdtype` does not count bfloat16 among the floats.
  if not jnp.issubdtype(array.dtype, jnp.floating):
    raise ValueError(
      f'`{name}` must hold floats in [-1, 1], got {array.dtype}; divide 8-bit'
      ' values by 127.5 and subtract 1.'
    )
  right_rank = array.ndim == layout.count(',') + 1
  channels = (1, 2, 3, 4) if with_alpha else (1, 3)
  if not right_rank or array.shape[-1] not in channels or not array.size:
    allowed = '1 to 4' if with_alpha else '1 or 3'
    raise ValueError(
      f'`{name}` must be {layout} with C = {allowed} and no empty axis, got'
      f' shape {array.shape}.'
    )
  array = array.astype(np.float32)
  if not np.all(np.isfinite(array)):
    raise ValueError(f'`{name}` must be finite, got NaN or infinite values.')
  return array


def _composite_on_white(pixels: np.ndarray) -> np.ndarray:
  colour, alpha = pixels[..., :-1], pixels[..., -1:]
  return alpha * colour + (1 - alpha)


def _set_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
  if pixels.shape[-1] == channels:
    return pixels
  return pixels.repeat(3, axis=-1) if channels == 3 else pixels @ _LUMA[:, None]


def _quantise(pixels: np.ndarray, bit_depth: int) -> np.ndarray:
  white = 2**bit_depth - 1
  samples = np.rint((np.clip(pixels, -1, 1) + 1) * (white / 2))
  return samples.astype(np.uint8 if bit_depth == 8 else np.uint16)
