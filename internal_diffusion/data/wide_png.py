"""PNG files with 16 bits a channel; Pillow can only write grey ones.

Reference: W3C, Portable Network Graphics specification, third edition: chunks
(section 5), filters (section 9.2), header (section 11.2.1).
"""

import struct
import zlib

import numpy as np

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # By number of channels.


def encode_wide_png(samples: np.ndarray) -> bytes:
  """Encodes samples [H, W, 1 to 4] uint16 as the bytes of a PNG file."""
  height, width, channels = samples.shape
  rows = samples.astype('>u2').reshape(height, -1).view(np.uint8)
  # Filter type 2 (Up): difference from the row above, modulo 256.
  filtered = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
  scanlines = np.pad(filtered, ((0, 0), (1, 0)), constant_values=2)
  colour_type = _COLOUR_TYPES[channels]
  header = struct.pack('>2I5B', width, height, 16, colour_type, 0, 0, 0)
  body = zlib.compress(scanlines.tobytes())
  png = b'\x89PNG\r\n\x1a\n'
  for kind, content in ((b'IHDR', header), (b'IDAT', body), (b'IEND', b'')):
    chunk = kind + content
    png += struct.pack('>I', len(content)) + chunk
    png += struct.pack('>I', zlib.crc32(chunk))
  return png
