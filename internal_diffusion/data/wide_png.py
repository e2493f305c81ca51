"""PNG files of 16 bits a channel, which Pillow writes for grey alone.

After the W3C's Portable Network Graphics specification, third edition: the
chunks of section 5, the filter of section 9.2, the header of section 11.2.1.
"""

import struct
import zlib

import numpy as np

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # Of channels; even ones have alpha.


def encode_wide_png(samples: np.ndarray) -> bytes:
  """The bytes of a PNG file with samples [H, W, 1 to 4] uint16."""
  height, width, channels = samples.shape
  rows = samples.astype('>u2').reshape(height, -1).view(np.uint8)
  # Filter type 2, Up: the difference to the row above, modulo 256.
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
