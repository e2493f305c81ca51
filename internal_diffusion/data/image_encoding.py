"""Encoding of image files.

Pillow has 8 bits a channel of a colour image, so 16-bit images are encoded
without it. Alpha is the last of 2 or 4 channels; colours are not premultiplied.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from internal_diffusion.data import wide_png
from internal_diffusion.data.metadata import Metadata

EXTENSIONS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}
EXTENSIONS |= {'.tif': 'TIFF', '.tiff': 'TIFF', '.bmp': 'BMP'}
ALPHA_FORMATS = ('PNG', 'TIFF', 'WEBP')
_SAVE_OPTIONS: dict[str, dict[str, int]] = {
  'JPEG': {'quality': 95, 'subsampling': 0},
  # `exact` keeps the colours of transparent pixels.
  'WEBP': {'lossless': True, 'exact': True},
}


def encode(
  samples: np.ndarray, file_format: str, *, metadata: Metadata | None = None
) -> bytes:
  """Encodes samples [H, W, 1 to 4], uint8 or uint16, as the bytes of a file.

  `ALPHA_FORMATS` can store alpha; PNG and TIFF can store 16 bits. WebP stores
  grey as RGB. TIFF stores no EXIF block, WebP no DPI, BMP only DPI.
  """
  metadata = metadata or Metadata()
  if file_format == 'PNG' and samples.dtype == np.uint16:
    return wide_png.encode_wide_png(samples, metadata=metadata)
  if file_format == 'TIFF':
    return _encode_tiff(samples, metadata)
  buffer = io.BytesIO()
  flat = samples[..., 0] if samples.shape[-1] == 1 else samples
  options: dict[str, Any] = dict(_SAVE_OPTIONS.get(file_format, {}))
  if metadata.exif:
    options['exif'] = b'Exif\0\0' + metadata.exif
  if metadata.profile:
    options['icc_profile'] = metadata.profile
  if metadata.dpi is not None:
    options['dpi'] = metadata.dpi
  Image.fromarray(flat).save(buffer, file_format, **options)
  return buffer.getvalue()


def encode_jpeg(
  samples: np.ndarray, *, quality: int, subsampling: str
) -> bytes:
  """Encodes samples [H, W, 1 or 3] uint8 as a JPEG file.

  Args:
    samples: Grey or RGB.
    quality: 1 to 100.
    subsampling: '4:4:4', '4:2:2' or '4:2:0'.
  """
  buffer = io.BytesIO()
  flat = samples[..., 0] if samples.shape[-1] == 1 else samples
  Image.fromarray(flat).save(
    buffer, 'JPEG', quality=quality, subsampling=subsampling
  )
  return buffer.getvalue()


def encode_animation(frames: Sequence[np.ndarray], *, seconds: float) -> bytes:
  """Encodes frames [H, W, 1 or 3] uint8 as an endless GIF."""
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


def _encode_tiff(samples: np.ndarray, metadata: Metadata) -> bytes:
  import tifffile

  buffer = io.BytesIO()
  channels = samples.shape[-1]
  tifffile.imwrite(
    buffer,
    samples[..., 0] if channels == 1 else samples,
    photometric='minisblack' if channels < 3 else 'rgb',
    planarconfig=None if channels == 1 else 'contig',
    extrasamples=None if channels % 2 else ['unassalpha'],
    metadata=None,
    iccprofile=metadata.profile or None,
    resolution=metadata.dpi,
    resolutionunit='INCH' if metadata.dpi else None,
  )
  return buffer.getvalue()
