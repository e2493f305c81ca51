"""Tests of `image_io` where a picture has alpha, and of the bit depth it tells.

Warnings are errors here, so a test without `pytest.warns` also shows that
nothing is said.
"""

import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from internal_diffusion.data import image_io

SIZES = [(1, 1), (1, 7), (5, 1), (2, 3), (4, 4), (13, 11)]
ORIENTATION = 0x112
# Where the first row and column of the stored picture go (EXIF 2.3, table 6).
UPRIGHT = {
  1: lambda a: a,
  2: lambda a: a[:, ::-1],
  3: lambda a: np.rot90(a, 2),
  4: lambda a: a[::-1],
  5: lambda a: a.swapaxes(0, 1),
  6: lambda a: np.rot90(a, -1),
  7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
  8: lambda a: np.rot90(a, 1),
}


@pytest.fixture(autouse=True)
def warnings_are_errors():
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    yield


def samples(*shape, bits=8, seed=0):
  """Random samples whose first pixel is coloured and clear."""
  dtype = np.uint8 if bits == 8 else np.uint16
  values = np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)
  if shape[-1] in (2, 4):
    values[0, 0, -1] = 0
  return values


def to_pixels(values, bits=8):
  return 2 * np.asarray(values, np.float64) / (2**bits - 1) - 1


def save(path, mode, values, **options):
  """Writes a file by Pillow."""
  height, width = values.shape[:2]
  picture = Image.frombytes(mode, (width, height), values.tobytes())
  picture.save(path, **options)
  return path


def save_tiff(path, values, **options):
  """Writes a TIFF by tifffile, with alpha in the last of 2 or 4 channels."""
  defaults = {
    'photometric': 'minisblack' if values.shape[-1] == 2 else 'rgb',
    'planarconfig': 'contig',
    'extrasamples': ['unassalpha'],
  }
  tifffile.imwrite(path, values, **(defaults | options))
  return path


def assert_reads(path, values, bits):
  image, bit_depth = image_io.read_image_with_alpha(path)
  assert bit_depth == bits
  assert image.dtype == np.float32
  assert image.shape == values.shape
  np.testing.assert_allclose(image, to_pixels(values, bits), rtol=0, atol=3e-7)


# Round trips.


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('extension', ['.png', '.tif', '.TIFF'])
def test_round_trips_are_exact(tmp_path, extension, channels, bits):
  path = tmp_path / f'a{extension}'
  for size in SIZES:
    values = samples(*size, channels, bits=bits)
    image_io.write_image(path, to_pixels(values, bits), bit_depth=bits)
    assert_reads(path, values, bits)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_webp_holds_grey_as_rgb_and_is_exact(tmp_path, channels):
  path = tmp_path / 'a.webp'
  for size in SIZES:
    values = samples(*size, channels)
    image_io.write_image(path, to_pixels(values))
    is_grey = channels < 3
    order = [0, 0, 0, 1][: channels + 2] if is_grey else range(channels)
    assert_reads(path, values[..., order], 8)


@pytest.mark.parametrize('extension', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [2, 4])
def test_every_16_bit_sample_survives(tmp_path, extension, channels):
  ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
  views = [ramp, ramp[::-1], ramp.T, ramp[:, ::-1]]
  values = np.stack(views[:channels], axis=-1)
  path = tmp_path / f'a{extension}'
  image_io.write_image(path, to_pixels(values, 16), bit_depth=16)
  assert_reads(path, values, 16)


def test_what_is_read_is_what_is_written_again(tmp_path):
  path = save(tmp_path / 'a.png', 'RGBA', samples(5, 7, 4))
  image, bit_depth = image_io.read_image_with_alpha(path)
  image_io.write_image(tmp_path / 'b.tif', image, bit_depth=bit_depth)
  again, _ = image_io.read_image_with_alpha(tmp_path / 'b.tif')
  np.testing.assert_array_equal(again, image)


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('bits', [8, 16])
def test_other_readers_agree(tmp_path, bits, channels):
  values = samples(5, 7, channels, bits=bits)
  for name in ('a.png', 'a.tif'):
    image_io.write_image(
      tmp_path / name, to_pixels(values, bits), bit_depth=bits
    )
  np.testing.assert_array_equal(tifffile.imread(tmp_path / 'a.tif'), values)
  # Pillow shows the high byte, of grey with alpha as RGBA.
  picture = Image.open(tmp_path / 'a.png')
  picture = picture.convert('LA' if channels == 2 else 'RGBA')
  np.testing.assert_array_equal(np.asarray(picture), values >> (bits - 8))


def test_values_and_alpha_are_clipped(tmp_path):
  image = np.array([[[-7.0, -7.0], [7.0, 7.0], [0.2, -0.2]]])
  image_io.write_image(tmp_path / 'a.png', image, bit_depth=16)
  read, _ = image_io.read_image_with_alpha(tmp_path / 'a.png')
  np.testing.assert_allclose(read, np.clip(image, -1, 1), atol=2e-5)


# Reading alpha.


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('extension', ['.png', '.tif'])
def test_opaque_alpha_is_left_out(tmp_path, extension, channels, bits):
  values = samples(5, 6, channels, bits=bits)
  values[..., -1] = 2**bits - 1
  path = tmp_path / f'a{extension}'
  image_io.write_image(path, to_pixels(values, bits), bit_depth=bits)
  assert_reads(path, values[..., :-1], bits)
  values[2, 3, -1] -= 1  # A single pixel that is not quite opaque.
  image_io.write_image(path, to_pixels(values, bits), bit_depth=bits)
  assert_reads(path, values, bits)


def test_transparent_colours_of_png(tmp_path):
  indices = np.array([[0, 1]], np.uint8)
  picture = Image.fromarray(indices).convert('P')
  picture.frombytes(indices.tobytes())
  picture.putpalette([10, 20, 30, 40, 50, 60])
  picture.save(tmp_path / 'palette.png', transparency=1)
  expected = np.array([[[10, 20, 30, 255], [40, 50, 60, 0]]])
  assert_reads(tmp_path / 'palette.png', expected, 8)
  rgb = expected[..., :3].astype(np.uint8)
  path = save(tmp_path / 'rgb.png', 'RGB', rgb, transparency=(40, 50, 60))
  assert_reads(path, expected, 8)
  grey = np.array([[7, 8]], np.uint8)
  path = save(tmp_path / 'grey.png', 'L', grey, transparency=7)
  assert_reads(path, np.array([[[7, 0], [8, 255]]]), 8)


@pytest.mark.parametrize('channels', [2, 4])
def test_premultiplied_colours_are_divided_by_alpha(tmp_path, channels):
  values = np.array([[[10] * channels, [4] * channels]], np.uint8)
  values[..., -1] = 51, 255
  path = save_tiff(tmp_path / 'a.tif', values, extrasamples=['assocalpha'])
  values[0, 0, :-1] *= 5  # 255 / 51.
  assert_reads(path, values, 8)


def test_a_channel_of_unsaid_meaning_is_not_alpha(tmp_path):
  values = samples(3, 5, 4)
  path = save_tiff(tmp_path / 'a.tif', values, extrasamples=['unspecified'])
  assert_reads(path, values[..., :3], 8)


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'byteorder': '>'},
    {'compression': 'zlib', 'byteorder': '>'},
    {'compression': 'zlib', 'predictor': True},
    {'tile': (16, 16)},
    {'rowsperstrip': 3},
  ],
)
@pytest.mark.parametrize('channels', [2, 4])
def test_16_bit_tiff(tmp_path, channels, options):
  values = samples(21, 35, channels, bits=16)
  assert_reads(save_tiff(tmp_path / 'a.tif', values, **options), values, 16)


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('channels', [2, 4])
def test_orientation_is_applied(tmp_path, channels, orientation):
  values = samples(4, 6, channels, bits=16)
  upright = UPRIGHT[orientation](values)
  tag = (ORIENTATION, 'H', 1, orientation, True)
  assert_reads(
    save_tiff(tmp_path / 'a.tif', values, extratags=[tag]), upright, 16
  )
  path = tmp_path / 'a.png'
  image_io.write_image(path, to_pixels(values, 16), bit_depth=16)
  exif = Image.Exif()
  exif[ORIENTATION] = orientation
  insert_chunk(path, b'eXIf', exif.tobytes().removeprefix(b'Exif\0\0'))
  assert_reads(path, upright, 16)


def insert_chunk(path, name, body):
  """Puts a chunk behind the header of a PNG, its first 33 bytes."""
  png = path.read_bytes()
  check = zlib.crc32(name + body)
  chunk = struct.pack('>I', len(body)) + name + body + struct.pack('>I', check)
  path.write_bytes(png[:33] + chunk + png[33:])


# Reading the bit depth.


def test_bit_depths_below_and_at_8(tmp_path):
  grey = samples(4, 5)
  for extension in ('.png', '.tif', '.bmp'):
    assert_reads(
      save(tmp_path / f'a{extension}', 'L', grey), grey[..., None], 8
    )
  bits = grey > 127
  Image.fromarray(bits).save(tmp_path / 'bits.png')
  assert_reads(tmp_path / 'bits.png', 255 * bits[..., None], 8)
  black = np.zeros((4, 5, 3), np.uint8)
  assert_reads(save(tmp_path / 'a.jpg', 'RGB', black), black, 8)


def test_floats_count_as_16_bits(tmp_path):
  values = samples(4, 5, bits=16)
  tifffile.imwrite(tmp_path / 'a.tif', values / np.float32(65535))
  assert_reads(tmp_path / 'a.tif', values[..., None], 16)


def test_precision_that_is_lost_is_not_claimed(tmp_path):
  inks = np.zeros((4, 5, 4), np.uint16)
  path = tmp_path / 'a.tif'
  tifffile.imwrite(path, inks, photometric='separated')
  with pytest.warns(UserWarning, match='reduced to 8') as record:
    image, bit_depth = image_io.read_image_with_alpha(path)
  assert bit_depth == 8
  assert record[0].filename == __file__
  np.testing.assert_array_equal(image, np.ones((4, 5, 3)))


def test_the_first_frame_is_read_with_a_warning(tmp_path):
  values = samples(4, 5, 2, bits=16)
  path = save_tiff(tmp_path / 'a.tif', np.stack([values] * 3))
  with pytest.warns(UserWarning, match=r'a\.tif.*first of 3 frames'):
    image, _ = image_io.read_image_with_alpha(path)
  np.testing.assert_allclose(image, to_pixels(values, 16), atol=3e-7)


# Beside `read_image`.


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('extension', ['.png', '.tif'])
def test_read_image_puts_the_same_on_white(tmp_path, extension, channels, bits):
  path = tmp_path / f'a{extension}'
  values = samples(5, 7, channels, bits=bits)
  image_io.write_image(path, to_pixels(values, bits), bit_depth=bits)
  image, _ = image_io.read_image_with_alpha(path)
  with pytest.warns(UserWarning, match='white'):
    on_white = image_io.read_image(path)
  opacity = (image[..., -1:] + 1) / 2
  expected = opacity * image[..., :-1] + (1 - opacity)
  expected = np.broadcast_to(expected, (5, 7, 3))
  np.testing.assert_allclose(on_white, expected, rtol=0, atol=3e-7)


def test_read_image_holds_8_bit_grey_with_alpha_as_rgb(tmp_path):
  path = save(tmp_path / 'a.png', 'LA', samples(5, 7, 2))
  with pytest.warns(UserWarning, match='white'):
    assert image_io.read_image(path, channels=None).shape == (5, 7, 3)


# What cannot be read.


def test_missing_file_and_folder(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'none\.png'):
    image_io.read_image_with_alpha(tmp_path / 'none.png')
  with pytest.raises(IsADirectoryError, match='folder'):
    image_io.read_image_with_alpha(tmp_path)


def assert_refused(path, match):
  with pytest.raises(ValueError, match=match) as error:
    image_io.read_image_with_alpha(path)
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'II*\0', b'MM\0*' + bytes(40), b'text'])
def test_files_that_are_no_pictures(tmp_path, content):
  (tmp_path / 'a.tif').write_bytes(content)
  assert_refused(tmp_path / 'a.tif', r'a\.tif')


@pytest.mark.parametrize('compression', [None, 'zlib'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_truncated_tiff(tmp_path, share, compression):
  path = tmp_path / 'a.tif'
  save_tiff(path, samples(40, 30, 2, bits=16), compression=compression)
  data = path.read_bytes()
  path.write_bytes(data[: int(share * len(data))])
  assert_refused(path, r'a\.tif')


@pytest.mark.parametrize(
  'options',
  [
    {'extrasamples': ['assocalpha']},
    {'extrasamples': ['unspecified']},
    {'photometric': 'miniswhite'},
    {'planarconfig': 'separate'},
  ],
)
def test_16_bit_grey_and_something_that_is_not_alpha(tmp_path, options):
  values = samples(5, 7, 2, bits=16)
  if 'planarconfig' in options:
    values = np.moveaxis(values, -1, 0)
    options = options | {'photometric': 'minisblack'}
  path = save_tiff(tmp_path / 'a.tif', values, **options)
  assert_refused(path, 'expected PNG, JPEG')


def test_tiff_too_large_to_be_safe(tmp_path, monkeypatch):
  path = save_tiff(tmp_path / 'a.tif', samples(5, 9, 2, bits=16))
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 23)  # 45 pixels are allowed.
  assert_reads(path, samples(5, 9, 2, bits=16), 16)
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 22)
  assert_refused(path, 'too large')


# What cannot be written.


@pytest.mark.parametrize(
  ('name', 'channels', 'options', 'match'),
  [
    ('a.jpg', 2, {}, r'alpha needs \.png.*\(2, 3, 2\).*a\.jpg'),
    ('a.jpeg', 4, {}, r'alpha needs \.png.*\(2, 3, 4\).*a\.jpeg'),
    ('a.bmp', 2, {}, r'alpha needs \.png.*a\.bmp'),
    ('a.bmp', 4, {}, r'alpha needs \.png.*a\.bmp'),
    ('a.webp', 4, {'bit_depth': 16}, r'16 needs.*a\.webp'),
    ('a.png', 5, {}, r'C = 1 to 4.*\(2, 3, 5\)'),
    ('a.png', 0, {}, r'C = 1 to 4.*\(2, 3, 0\)'),
  ],
)
def test_bad_pictures_leave_no_trace(tmp_path, name, channels, options, match):
  image = np.zeros((2, 3, channels))
  with pytest.raises(ValueError, match=match):
    image_io.write_image(tmp_path / 'folder' / name, image, **options)
  assert not list(tmp_path.iterdir())


def test_alpha_is_for_files_only():
  for channels in (2, 4):
    with pytest.raises(ValueError, match='C = 1 or 3'):
      image_io.check_image(np.zeros((2, 3, channels)))
    with pytest.raises(ValueError, match='C = 1 or 3'):
      image_io.make_grid(np.zeros((1, 2, 3, channels)))
