"""Decoding of image files.

Pillow keeps 8 bits a channel of a colour image, but files may have 16. So
`_load_wide_colour` decodes high and low bytes separately. Alpha is the last of
2 or 4 channels; colours are not premultiplied.

A header may claim any size, so the size is checked before a pixel is decoded:
against `max_pixels`, and against the number of bytes in the file.
"""

import contextlib
import contextvars
import io
import logging
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from internal_diffusion.data import jpeg_decoder
from internal_diffusion.data.jpeg_decoder import StoredJpeg

_T = TypeVar('_T')

MAX_PIXELS = 200_000_000  # 2.4 GB as float32 RGB.
# A larger image needs a byte of file for this many pixels. Deflate reaches 8256
# for an image of one colour with 1 bit a pixel.
_SMALL_IMAGE = 2**24
_MAX_RATIO = 10_000

_limit: contextvars.ContextVar[int | None] = contextvars.ContextVar(
  'limit', default=None
)

_READABLE = 'PNG, JPEG, WebP, TIFF, GIF or BMP with 8 or 16 bits a channel'
_FORMATS = ('PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP', 'GIF')

# Pillow's names of 16-bit colour: channels, then byte order (N is native).
_WIDE_COLOUR = re.compile('(RGB|RGBX|RGBA);16[BLN]')
# Numbers of TIFF tags.
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _PLANAR = 258, 259, 262, 284
_ORIENTATION = 274
_OTHER_ORDER = {'B': 'L', 'L': 'B', 'N': 'L' if sys.byteorder == 'big' else 'B'}


@contextlib.contextmanager
def pixel_limit(num: int) -> Iterator[None]:
  """Refuses pictures of more pixels inside a `with` block.

  Args:
    num: Number of pixels, above 0; outside of a block it is `MAX_PIXELS`.
  """
  if num < 1:
    raise ValueError(f'`max_pixels` must be above 0, got {num}.')
  token = _limit.set(num)
  try:
    yield
  finally:
    _limit.reset(token)


def max_pixels() -> int:
  """The largest number of pixels that is read."""
  found = _limit.get()
  return MAX_PIXELS if found is None else found


def read_pixels(path: pathlib.Path) -> tuple[np.ndarray, int, list[str]]:
  """Reads the first image of a file.

  Args:
    path: Input path.

  Returns:
    Pixels [H, W, 1 to 4] in [0, 1]; their depth, 8 or 16 bits, where floats
    count as 16; and a note for each loss of information.

  Raises:
    FileNotFoundError: If there is no such file.
    IsADirectoryError: If the path is a folder.
    ValueError: If the file cannot be decoded or is too large.
  """
  return _read(path, _decode)


def read_wide_png(path: pathlib.Path) -> np.ndarray:
  """Stored samples [H, W, 3] uint16 of a 16-bit RGB PNG.

  Args:
    path: Input path.

  Returns:
    The samples.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is not a 16-bit RGB PNG.
  """
  return _read(path, _decode_wide_png)


def read_jpeg(path: pathlib.Path) -> tuple[StoredJpeg, int]:
  """The quantised coefficients of a JPEG file, and its EXIF orientation.

  Args:
    path: Input path.

  Returns:
    The content as stored, and how it is to be turned: 1 (not at all) to 8.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is no JPEG that can be read, or is truncated.
  """
  return _read(path, _decode_jpeg)


def _decode_jpeg(data: bytes) -> tuple[StoredJpeg, int]:
  image = _open(data)
  if image.format not in ('JPEG', 'MPO'):
    raise ValueError(f'it must be a JPEG file, got {image.format}.')
  orientation = image.getexif().get(_ORIENTATION, 1)
  is_known = isinstance(orientation, int) and 1 <= orientation <= 8
  return jpeg_decoder.decode(data), orientation if is_known else 1


def _read(path: pathlib.Path, decode: Callable[[bytes], _T]) -> _T:
  """Decodes a file; every error names the file."""
  try:
    data = path.read_bytes()
  except FileNotFoundError:
    raise FileNotFoundError(f'There is no file `{path}`.') from None
  except IsADirectoryError:
    raise IsADirectoryError(
      f'`{path}` is a folder; give the path of one image.'
    ) from None
  except OSError as error:
    raise ValueError(f'Cannot read `{path}`: {error.strerror}.') from error
  if not data:
    raise ValueError(f'`{path}` is empty; expected {_READABLE}.')
  try:
    return decode(data)
  except UnidentifiedImageError as error:
    raise ValueError(
      f'`{path}` is not an image that can be read; expected {_READABLE}.'
    ) from error
  except Image.DecompressionBombError as error:
    raise ValueError(f'`{path}` is too large: {error}') from error
  except ValueError as error:
    raise ValueError(f'Cannot read `{path}`: {error}') from error
  except Exception as error:  # Pillow's decoders raise many types.
    raise ValueError(f'`{path}` is truncated or corrupt: {error}.') from error


def _decode(data: bytes) -> tuple[np.ndarray, int, list[str]]:
  """Results of `read_pixels` from the bytes of a file."""
  try:
    image = _open(data)
  except UnidentifiedImageError:
    samples, num_frames = _load_grey_alpha_tiff(data)
    bits = 8 * samples.itemsize
    return samples / np.float32(2**bits - 1), bits, _note_frames(num_frames)
  raw_mode = _raw_mode(image)
  notes = _note_frames(getattr(image, 'n_frames', 1))
  if re.match('(CMYK|RGBa);16', raw_mode):
    notes.append('16 bits a channel are reduced to 8')
  if raw_mode == 'LA;16B' or _WIDE_COLOUR.fullmatch(raw_mode):
    return _load_wide_colour(data, raw_mode) / np.float32(65535), 16, notes
  image = _load(data)
  if image.mode == 'F':
    return _check_unit_range(np.asarray(image)[..., None]), 16, notes
  if image.mode.startswith('I;16'):
    return np.asarray(image)[..., None] / np.float32(65535), 16, notes
  mode = 'L' if image.mode in ('1', 'L', 'LA', 'La') else 'RGB'
  mode += 'A' if image.has_transparency_data else ''
  samples = np.atleast_3d(np.asarray(image.convert(mode)))
  return samples / np.float32(255), 8, notes


def _note_frames(num_frames: int) -> list[str]:
  if num_frames == 1:
    return []
  return [f'only the first of {num_frames} frames is read']


def _open(data: bytes) -> ImageFile.ImageFile:
  """Reads the header and checks the size that it claims."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
  tags = getattr(image, 'tag_v2', {})
  is_raw = image.format == 'TIFF' and tags.get(_COMPRESSION, 1) == 1
  is_raw &= tags.get(_PHOTOMETRIC) != 6  # YCbCr may be subsampled.
  bits = sum(tags.get(_BITS_PER_SAMPLE, (1,))) if is_raw else 0
  _check_size(*image.size, num_bytes=len(data), raw_bits=bits)
  return image


def _check_size(
  width: int, height: int, *, num_bytes: int, raw_bits: int
) -> None:
  """Raises ValueError if a file of `num_bytes` cannot hold such an image.

  Args:
    width: Width in pixels, as the header claims.
    height: Height in pixels, as the header claims.
    num_bytes: Size of the file.
    raw_bits: Bits a pixel of an uncompressed image; 0 for a compressed one.
  """
  num_pixels = width * height
  claim = f'its header claims {height} x {width} pixels (height x width)'
  if num_pixels > max_pixels():
    raise ValueError(f'{claim}, too large; {max_pixels()} pixels can be read.')
  is_raw_cut = num_pixels * raw_bits > 8 * num_bytes
  is_large = num_pixels > _SMALL_IMAGE
  if is_raw_cut or (is_large and num_pixels > _MAX_RATIO * num_bytes):
    raise ValueError(
      f'{claim}, but it has only {num_bytes} bytes; it is truncated or corrupt.'
    )


def _raw_mode(image: ImageFile.ImageFile) -> str:
  """Pillow's name of the stored samples, '' for WebP (always 8 bits).

  Raises:
    ValueError: If Pillow misreads such samples or their range is unknown.
  """
  raw_mode = str(_tile_args(image.tile[0])[0]) if image.tile else ''
  tags = getattr(image, 'tag_v2', {})
  wide = tags.get(_BITS_PER_SAMPLE, (8,))[0] > 8 or raw_mode.endswith(';16B')
  if (
    image.mode == 'I'  # Signed, or 32 bits.
    or raw_mode == 'I;12'
    or (wide and tags.get(_PHOTOMETRIC) == 0)  # White is zero.
    or (wide and tags.get(_PLANAR) == 2)  # A plane for each channel.
    or (wide and 'transparency' in image.info)  # One colour, not a channel.
  ):
    raise ValueError(
      f'its samples ({raw_mode}) are not supported; save it as a PNG with 8 or'
      ' 16 bits a channel.'
    )
  return raw_mode


def _tile_args(tile: Any) -> tuple[Any, ...]:
  """Arguments of Pillow's decoder; the first is the raw mode."""
  return tile.args if isinstance(tile.args, tuple) else (tile.args,)


def _load(data: bytes, raw_mode: str | None = None) -> ImageFile.ImageFile:
  """Decodes upright pixels, optionally as if stored in another raw mode."""
  image = _open(data)
  if raw_mode is not None:
    image.tile = [
      tile._replace(args=(raw_mode, *_tile_args(tile)[1:]))
      for tile in image.tile
    ]
  image.load()
  ImageOps.exif_transpose(image, in_place=True)
  return image


def _load_wide_colour(data: bytes, raw_mode: str) -> np.ndarray:
  """Decodes 16-bit samples [H, W, 2 to 4].

  Pillow keeps the high byte only. Decoded in the other byte order, it keeps the
  low byte.
  """
  if raw_mode == 'LA;16B':  # Four bytes a pixel are those of 8-bit RGBA.
    return np.asarray(_load(data, 'RGBA')).view('>u2')
  swapped_mode = raw_mode[:-1] + _OTHER_ORDER[raw_mode[-1]]
  high = np.asarray(_load(data), np.uint16)
  low = np.asarray(_load(data, swapped_mode), np.uint16)
  return 256 * high + low


def _load_grey_alpha_tiff(data: bytes) -> tuple[np.ndarray, int]:
  """Decodes upright samples [H, W, 2], and counts the frames.

  Raises:
    UnidentifiedImageError: If it is not a TIFF of grey and alpha that Pillow
      cannot read: with 16 bits; or, before its version 13, with 8 bits and grey
      multiplied by alpha.
  """
  import tifffile  # Its import takes half a second.

  # It logs every damaged tag; the error says enough.
  logging.getLogger('tifffile').setLevel(logging.CRITICAL)
  try:
    tiff = tifffile.TiffFile(io.BytesIO(data))
  except tifffile.TiffFileError as error:
    raise UnidentifiedImageError(str(error)) from error
  page = tiff.pages.first
  # Black is zero, and samples are interleaved.
  is_grey = page.photometric == 1 and page.axes == 'YXS'
  is_wide = page.dtype == np.uint16 and page.extrasamples == (2,)
  is_multiplied = page.dtype == np.uint8 and page.extrasamples == (1,)
  if not (is_grey and (is_wide or is_multiplied)):
    raise UnidentifiedImageError(f'a TIFF of {page.dtype} {page.axes}')
  _check_size(
    *page.shape[1::-1],
    num_bytes=len(data),
    raw_bits=(32 if is_wide else 16) if page.compression == 1 else 0,
  )
  if is_multiplied:
    height, width = page.shape[:2]
    content = page.asarray().tobytes()
    image = Image.frombytes('La', (width, height), content).convert('LA')
  else:
    # As 8-bit RGBA, also four bytes a pixel, Pillow can set it upright.
    image = Image.fromarray(page.asarray().astype(np.uint16).view(np.uint8))
  image.getexif()[_ORIENTATION] = page.tags.valueof(_ORIENTATION, 1)
  ImageOps.exif_transpose(image, in_place=True)
  pixels = np.asarray(image)
  return pixels.view(np.uint16) if is_wide else pixels, len(tiff.pages)


def _decode_wide_png(data: bytes) -> np.ndarray:
  image = _open(data)
  raw_mode = _raw_mode(image)
  if image.format != 'PNG' or raw_mode != 'RGB;16B':
    raise ValueError(
      'it must be a PNG with 16 bits a channel of RGB, got'
      f' {image.format} of {raw_mode or image.mode}.'
    )
  return _load_wide_colour(data, raw_mode)


def _check_unit_range(samples: np.ndarray) -> np.ndarray:
  low, high = samples.min(), samples.max()
  if not (low >= 0 and high <= 1):  # NaN fails as well.
    raise ValueError(
      f'its floats must be in [0, 1], got [{low:g}, {high:g}]; rescale them or'
      ' save integers of 8 or 16 bits.'
    )
  return samples


def downscale(pixels: np.ndarray, max_side: int) -> np.ndarray:
  """Downscales [H, W, C] to a longest side of `max_side` (Lanczos)."""
  factor = max_side / max(pixels.shape[:2])
  height, width = (max(1, round(factor * side)) for side in pixels.shape[:2])
  # Pillow resamples floats one channel at a time, and keeps their precision.
  resized = (
    Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS)
    for channel in np.moveaxis(pixels, -1, 0)
  )
  return np.stack([np.asarray(channel) for channel in resized], axis=-1)
