"""Picture files of more than 8 bits a sample.

They come from tifffile and from a small PNG encoder of our own, which knows 16
bits, interlacing and ancillary chunks.
"""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from internal_diffusion.data import image_io
from tests.data.picture_files import (
  ORIENTATION,
  UPRIGHT,
  assert_reads,
  raises_one_line,
  samples,
  to_pixels,
)

# Without `pytest.warns`, a test also shows that nothing is said.
pytestmark = pytest.mark.filterwarnings('error')
# First row, first column, row step and column step of the passes of Adam7.
ADAM7 = [
  (0, 0, 8, 8),
  (0, 4, 8, 8),
  (4, 0, 8, 4),
  (0, 2, 4, 4),
  (2, 0, 4, 2),
  (0, 1, 2, 2),
  (1, 0, 2, 1),
]


def save_tiff(path, values, **options):
  tifffile.imwrite(path, values, **options)
  return path


def encode_png(values, *, interlaced=False, extra=b''):
  """Encodes uint16 [H, W, 1 to 4] without filters."""
  passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
  scanlines = b''.join(
    b'\0' + row.astype('>u2').tobytes()
    for top, left, down, right in passes
    for row in values[top::down, left::right]
    if row.size
  )
  height, width, channels = values.shape
  kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
  header = struct.pack('>2I5B', width, height, 16, kind, 0, 0, interlaced)
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + extra
    + chunk(b'IDAT', zlib.compress(scanlines))
    + chunk(b'IEND', b'')
  )


def chunk(name, body):
  check = zlib.crc32(name + body)
  return struct.pack('>I', len(body)) + name + body + struct.pack('>I', check)


@pytest.mark.parametrize('extension', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [1, 3])
def test_every_16_bit_sample_survives(tmp_path, extension, channels):
  values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
  values = np.concatenate([values, values[::-1], values.T.swapaxes(0, 2)], 2)
  expected = to_pixels(values[..., :channels], bits=16)
  path = tmp_path / f'a{extension}'
  image_io.write_image(path, expected, bit_depth=16)
  assert_reads(path, expected, channels=channels)
  # A reader that is not ours sees the high byte.
  high_byte = np.asarray(Image.open(path)) >> (8 if channels == 1 else 0)
  expected_high_byte = np.squeeze(values[..., :channels] >> 8)
  np.testing.assert_array_equal(high_byte, expected_high_byte)


@pytest.mark.parametrize('interlaced', [False, True])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_16_bit_png(tmp_path, channels, interlaced):
  values = samples(13, 11, channels, bits=16)
  if channels in (2, 4):
    values[..., -1] = 65535
  path = tmp_path / 'a.png'
  path.write_bytes(encode_png(values, interlaced=interlaced))
  num_colours = 1 if channels < 3 else 3
  expected = to_pixels(values[..., :num_colours], bits=16)
  assert_reads(path, expected, channels=num_colours)


def test_16_bit_alpha_keeps_its_precision(tmp_path):
  values = np.array([[[40000, 300, 65535, 12345]]], np.uint16)
  (tmp_path / 'a.png').write_bytes(encode_png(values))
  with pytest.warns(UserWarning, match='white'):
    image = image_io.read_image(tmp_path / 'a.png')
  colour, alpha = values[..., :3] / 65535, 12345 / 65535
  expected = 2 * (alpha * colour + 1 - alpha) - 1
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'byteorder': '>'},
    {'compression': 'zlib'},
    {'compression': 'zlib', 'byteorder': '>'},
    {'tile': (16, 16)},
    {'tile': (16, 16), 'compression': 'zlib'},
    {'rowsperstrip': 3},
  ],
)
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_16_bit_tiff(tmp_path, channels, options):
  values = samples(21, 35, channels, bits=16)
  values[..., 3:] = 65535
  if channels == 1:
    options = options | {'photometric': 'minisblack'}
  else:
    extra = ['unassalpha'] if channels == 4 else None
    options = options | {'photometric': 'rgb', 'extrasamples': extra}
  path = save_tiff(tmp_path / 'a.tif', values.squeeze(), **options)
  num_colours = min(channels, 3)
  expected = to_pixels(values[..., :num_colours], bits=16)
  assert_reads(path, expected, channels=num_colours)


def test_16_bit_cmyk_says_that_it_is_reduced(tmp_path):
  values = np.zeros((4, 5, 4), np.uint16)
  path = save_tiff(tmp_path / 'a.tif', values, photometric='separated')
  with pytest.warns(UserWarning, match='reduced to 8'):
    image = image_io.read_image(path)
  np.testing.assert_array_equal(image, 1)


def test_float_tiff_in_unit_range(tmp_path):
  values = np.random.default_rng(0).random((4, 5), dtype=np.float32)
  path = save_tiff(tmp_path / 'a.tif', values)
  assert_reads(path, 2.0 * values[..., None] - 1, channels=1)


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('channels', [1, 2, 3])
def test_orientation_of_16_bits(tmp_path, channels, orientation):
  values = samples(4, 6, channels, bits=16)
  values[..., 1 if channels == 2 else 3 :] = 65535
  exif = Image.Exif()
  exif[ORIENTATION] = orientation
  extra = chunk(b'eXIf', exif.tobytes().removeprefix(b'Exif\0\0'))
  (tmp_path / 'a.png').write_bytes(encode_png(values, extra=extra))
  num_colours = 1 if channels < 3 else 3
  upright = UPRIGHT[orientation](values[..., :num_colours])
  assert_reads(
    tmp_path / 'a.png', to_pixels(upright, bits=16), channels=num_colours
  )


def test_orientation_of_16_bit_tiff(tmp_path):
  values = samples(4, 6, 3, bits=16)
  tag = (ORIENTATION, 'H', 1, 6, True)
  path = save_tiff(
    tmp_path / 'a.tif', values, photometric='rgb', extratags=[tag]
  )
  assert_reads(path, to_pixels(np.rot90(values, -1), bits=16))


def test_decompression_bomb(tmp_path):
  header = struct.pack('>2I5B', 60000, 60000, 8, 2, 0, 0, 0)
  path = tmp_path / 'a.png'
  path.write_bytes(
    b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', b'')
  )
  with raises_one_line(path, 'too large'):
    image_io.read_image(path)


@pytest.mark.parametrize(
  ('values', 'options', 'match'),
  [
    (np.ones((4, 5), np.uint32), {}, 'not supported'),
    (np.ones((4, 5), np.int16), {}, 'not supported'),
    (samples(4, 5, bits=16), {'photometric': 'miniswhite'}, 'not supported'),
    (
      samples(3, 4, 5, bits=16),
      {'photometric': 'rgb', 'planarconfig': 'separate'},
      'not supported',
    ),
    (
      samples(3, 4, 5, bits=16),
      {'photometric': 'rgb', 'planarconfig': 'separate', 'compression': 'zlib'},
      'not supported',
    ),
    (np.ones((4, 5, 3), np.float32), {'photometric': 'rgb'}, 'expected'),
    (np.full((4, 5), 255, np.float32), {}, 'floats must be in'),
    (np.full((4, 5), -0.5, np.float32), {}, 'floats must be in'),
    (np.full((4, 5), np.nan, np.float32), {}, 'floats must be in'),
  ],
)
def test_tiff_samples_of_unknown_meaning(tmp_path, values, options, match):
  options = {'photometric': 'minisblack'} | options
  path = save_tiff(tmp_path / 'a.tif', values, **options)
  with raises_one_line(path, match):
    image_io.read_image(path)


def test_transparent_colour_of_16_bits_is_refused(tmp_path):
  path = tmp_path / 'a.png'
  extra = chunk(b'tRNS', struct.pack('>3H', 1, 2, 3))
  path.write_bytes(encode_png(samples(4, 5, 3, bits=16), extra=extra))
  with raises_one_line(path, 'not supported'):
    image_io.read_image(path)
