"""PNG files with 16 bits a channel; Pillow can only write grey ones.

Reference: W3C, Portable Network Graphics specification, third edition: chunks
(section 5), filters (section 9.2), header (section 11.2.1), colour profile,
resolution and EXIF (sections 11.3.2.3, 11.3.4.3 and 11.3.4.5).
"""

import struct
import zlib

import numpy as np

from internal_diffusion.data.metadata import Metadata

_METRES = 0.0254  # Of an inch.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # By number of channels.


def encode_wide_png(
  samples: np.ndarray, *, metadata: Metadata | None = None
) -> bytes:
  """Encodes samples [H, W, 1 to 4] uint16 as the bytes of a PNG file."""
  height, width, channels = samples.shape
  rows = samples.astype('>u2').reshape(height, -1).view(np.uint8)
  # Filter type 2 (Up): difference from the row above, modulo 256.
  filtered = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
  scanlines = np.pad(filtered, ((0, 0), (1, 0)), constant_values=2)
  colour_type = _COLOUR_TYPES[channels]
  header = struct.pack('>2I5B', width, height, 16, colour_type, 0, 0, 0)
  body = zlib.compress(scanlines.tobytes())
  chunks = [
    (b'IHDR', header),
    *_metadata_chunks(metadata or Metadata()),
    (b'IDAT', body),
    (b'IEND', b''),
  ]
  png = b'\x89PNG\r\n\x1a\n'
  for kind, content in chunks:
    chunk = kind + content
    png += struct.pack('>I', len(content)) + chunk
    png += struct.pack('>I', zlib.crc32(chunk))
  return png


def _metadata_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
  """Kind and content of the chunks of metadata, before those of pixels."""
  chunks = []
  if metadata.profile:
    profile = b'ICC profile\0\0' + zlib.compress(metadata.profile)
    chunks.append((b'iCCP', profile))
  if metadata.dpi:
    per_metre = [round(dpi / _METRES) for dpi in metadata.dpi]
    chunks.append((b'pHYs', struct.pack('>2IB', *per_metre, 1)))
  if metadata.exif:
    chunks.append((b'eXIf', metadata.exif))
  return chunks
