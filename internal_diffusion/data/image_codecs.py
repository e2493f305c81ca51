"""From the bytes of a picture file to samples and back.

Pillow holds 8 bits a channel of a colour picture where files may have 16. So
`_load_wide_colour` lets it read high and low bytes apart, and pictures of 16
bits are written without it. This is the only file that imports Pillow. Alpha is
the last of 2 or 4 channels, and colours are not multiplied by it.
"""

import io
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import tifffile
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from internal_diffusion.data import wide_png

_T = TypeVar('_T')

_READABLE = 'PNG, JPEG, WebP, TIFF or BMP with 8 or 16 bits a channel'
EXTENSIONS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}
EXTENSIONS |= {'.tif': 'TIFF', '.tiff': 'TIFF', '.bmp': 'BMP'}
_FORMATS = tuple(set(EXTENSIONS.values()))
ALPHA_FORMATS = ('PNG', 'TIFF', 'WEBP')
_SAVE_OPTIONS: dict[str, dict[str, int]] = {
  'JPEG': {'quality': 95, 'subsampling': 0},
  'WEBP': {'lossless': True, 'exact': True},  # Also where it is transparent.
}

# Pillow's names of 16-bit colours: channels, then byte order (N is native).
_WIDE_COLOUR = re.compile('(RGB|RGBX|RGBA);16[BLN]')
_OTHER_ORDER = {'B': 'L', 'L': 'B', 'N': 'L' if sys.byteorder == 'big' else 'B'}


def read_pixels(path: pathlib.Path) -> tuple[np.ndarray, int, list[str]]:
  """Does `_decode` of a file, with errors that name the file."""
  return _read(path, _decode)


def read_wide_png(path: pathlib.Path) -> np.ndarray:
  """Samples [H, W, 3] uint16 of a PNG that holds numbers, not a picture.

  Args:
    path: File to read.

  Returns:
    The samples as they are stored.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If it is not a PNG with 16 bits a channel of RGB.
  """
  return _read(path, _decode_wide_png)


def _read(path: pathlib.Path, decode: Callable[[bytes], _T]) -> _T:
  """What `decode` makes of a file, with errors that name the file."""
  try:
    data = path.read_bytes()
  except FileNotFoundError:
    raise FileNotFoundError(f'There is no file `{path}`.') from None
  except IsADirectoryError:
    raise IsADirectoryError(
      f'`{path}` is a folder; give the path of one picture.'
    ) from None
  except OSError as error:
    raise ValueError(f'Cannot read `{path}`: {error.strerror}.') from error
  if not data:
    raise ValueError(f'`{path}` is empty; expected {_READABLE}.')
  try:
    return decode(data)
  except UnidentifiedImageError as error:
    raise ValueError(
      f'`{path}` is not a picture that can be read; expected {_READABLE}.'
    ) from error
  except Image.DecompressionBombError as error:
    raise ValueError(f'`{path}` is too large to be safe: {error}') from error
  except ValueError as error:
    raise ValueError(f'Cannot read `{path}`: {error}') from error
  except Exception as error:  # Pillow's readers raise all kinds of them.
    raise ValueError(f'`{path}` is truncated or corrupt: {error}.') from error


def _decode(data: bytes) -> tuple[np.ndarray, int, list[str]]:
  """Decodes pixels [H, W, 1 to 4] in [0, 1].

  The second value is the depth of the pixels, 8 or 16 bits, where floats count
  as 16. The third is what the caller has to be told.
  """
  try:
    image = _open(data)
  except UnidentifiedImageError:
    samples, num_frames = _load_wide_grey_alpha_tiff(data)
    return samples / np.float32(65535), 16, _note_frames(num_frames)
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
  """Reads the header only."""
  return Image.open(io.BytesIO(data), formats=_FORMATS)


def _raw_mode(image: ImageFile.ImageFile) -> str:
  """Returns Pillow's name of the stored samples, '' for WebP (always 8 bits).

  Raises:
    ValueError: If Pillow misreads such samples or their range is unknown.
  """
  raw_mode = str(_tile_args(image.tile[0])[0]) if image.tile else ''
  tags = getattr(image, 'tag_v2', {})  # Of TIFF, by their baseline numbers.
  wide = tags.get(258, (8,))[0] > 8 or raw_mode.endswith(';16B')
  if (
    image.mode == 'I'  # Signed, or 32 bits.
    or raw_mode == 'I;12'
    or (wide and tags.get(262) == 0)  # White is zero.
    or (wide and tags.get(284) == 2)  # A plane for each channel.
    or (wide and 'transparency' in image.info)  # One colour, not a channel.
  ):
    raise ValueError(
      f'its samples ({raw_mode}) are not supported; save it as a PNG with 8 or'
      ' 16 bits a channel.'
    )
  return raw_mode


def _tile_args(tile: Any) -> tuple[Any, ...]:
  """Returns the arguments of Pillow's decoder; the first is the raw mode."""
  return tile.args if isinstance(tile.args, tuple) else (tile.args,)


def _load(data: bytes, raw_mode: str | None = None) -> ImageFile.ImageFile:
  """Decodes upright pixels, on request as if stored in another raw mode."""
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
  """Decodes 16-bit samples [H, W, 2 to 4] that Pillow cuts to the high byte.

  Decoded as if in the other byte order, they are cut to the low byte.
  """
  if raw_mode == 'LA;16B':  # Four bytes a pixel are those of 8-bit RGBA.
    return np.asarray(_load(data, 'RGBA')).view('>u2')
  swapped_mode = raw_mode[:-1] + _OTHER_ORDER[raw_mode[-1]]
  high = np.asarray(_load(data), np.uint16)
  low = np.asarray(_load(data, swapped_mode), np.uint16)
  return 256 * high + low


def _load_wide_grey_alpha_tiff(data: bytes) -> tuple[np.ndarray, int]:
  """Decodes upright 16-bit samples [H, W, 2], and counts the frames.

  Raises:
    UnidentifiedImageError: If it is anything but such a TIFF, of which Pillow
      knows nothing.
  """
  try:
    tiff = tifffile.TiffFile(io.BytesIO(data))
  except tifffile.TiffFileError as error:
    raise UnidentifiedImageError(str(error)) from error
  page = tiff.pages.first
  # Black is zero; the samples of a pixel lie together; alpha is unassociated.
  is_wide_grey = page.photometric == 1 and page.dtype == np.uint16
  has_alpha = page.axes == 'YXS' and page.extrasamples == (2,)
  if not (is_wide_grey and has_alpha):
    raise UnidentifiedImageError(f'a TIFF of {page.dtype} {page.axes}')
  if page.size > 4 * (Image.MAX_IMAGE_PIXELS or page.size):  # As Pillow does.
    raise Image.DecompressionBombError(f'its shape is {page.shape}.')
  # Four bytes a pixel are those of 8-bit RGBA, which Pillow can set upright.
  image = Image.fromarray(page.asarray().astype(np.uint16).view(np.uint8))
  image.getexif()[274] = page.tags.valueof(274, 1)  # The tag of orientation.
  ImageOps.exif_transpose(image, in_place=True)
  return np.asarray(image).view(np.uint16), len(tiff.pages)


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
  """Bounds the longest side of [H, W, C] (Lanczos, antialiased)."""
  factor = max_side / max(pixels.shape[:2])
  height, width = (max(1, round(factor * side)) for side in pixels.shape[:2])
  # Pillow resamples floats one channel at a time, and keeps their precision.
  resized = (
    Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS)
    for channel in np.moveaxis(pixels, -1, 0)
  )
  return np.stack([np.asarray(channel) for channel in resized], axis=-1)


def encode(samples: np.ndarray, file_format: str) -> bytes:
  """The bytes of a file with samples [H, W, 1 to 4], uint8 or uint16.

  Alpha is for the formats in `ALPHA_FORMATS`, 16 bits are for PNG and TIFF.
  WebP has no grey; it is stored as RGB.
  """
  if file_format == 'PNG' and samples.dtype == np.uint16:
    return wide_png.encode_wide_png(samples)
  if file_format == 'TIFF':
    return _encode_tiff(samples)
  buffer = io.BytesIO()
  flat = samples[..., 0] if samples.shape[-1] == 1 else samples
  options = _SAVE_OPTIONS.get(file_format, {})
  Image.fromarray(flat).save(buffer, file_format, **options)
  return buffer.getvalue()


def encode_animation(frames: Sequence[np.ndarray], *, seconds: float) -> bytes:
  """A GIF that repeats frames [H, W, 1 or 3] uint8, each for some time."""
  buffer = io.BytesIO()
  first, *rest = (
    Image.fromarray(f[..., 0] if f.shape[-1] == 1 else f) for f in frames
  )
  first.save(
    buffer,
    'GIF',
    save_all=True,
    append_images=rest,
    duration=round(1000 * seconds),
    loop=0,
  )
  return buffer.getvalue()


def _encode_tiff(samples: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  channels = samples.shape[-1]
  tifffile.imwrite(
    buffer,
    samples[..., 0] if channels == 1 else samples,
    photometric='minisblack' if channels < 3 else 'rgb',
    planarconfig=None if channels == 1 else 'contig',
    extrasamples=None if channels % 2 else ['unassalpha'],
    metadata=None,
  )
  return buffer.getvalue()
