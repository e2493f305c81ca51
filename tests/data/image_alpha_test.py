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
from tests.data.alpha_files import assert_reads, samples, save, save_tiff
from tests.data.picture_files import ORIENTATION, UPRIGHT, to_pixels

SIZES = [(1, 1), (1, 7), (5, 1), (2, 3), (4, 4), (13, 11)]


@pytest.fixture(autouse=True)
def warnings_are_errors():
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    yield


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


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_colours_without_alpha(channels):
  image = np.arange(6 * channels, dtype=np.float32).reshape(2, 3, channels)
  found = image_io.without_alpha(image)
  np.testing.assert_array_equal(found, image[..., : 3 if channels > 2 else 1])
