"""Tests of `image_io` by identity: files of known samples, read and written.

The files come from Pillow, tifffile and a small PNG encoder of our own below,
which knows 16 bits, interlacing and ancillary chunks. Warnings are errors here,
so a test without `pytest.warns` also shows that nothing is said.
"""

import contextlib
import os
import pathlib
import stat
import struct
import warnings
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
import tifffile
from PIL import Image

from internal_diffusion.data import image_io

LOSSLESS = ['.png', '.webp', '.tif', '.tiff', '.bmp']
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


@pytest.fixture(autouse=True)
def warnings_are_errors():
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    yield


def samples(*shape, bits=8, seed=0):
  dtype = np.uint8 if bits == 8 else np.uint16
  return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)


def to_pixels(values, bits=8):
  return 2 * np.asarray(values, np.float64) / (2**bits - 1) - 1


def save(path, picture, **options):
  if isinstance(picture, np.ndarray):
    picture = Image.fromarray(picture)
  picture.save(path, **options)
  return path


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


def assert_reads(path, expected, **options):
  image = image_io.read_image(path, **options)
  assert image.dtype == np.float32
  assert image.shape == expected.shape
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


# Reading: samples of 8 bits and fewer.


@pytest.mark.parametrize('extension', LOSSLESS)
@pytest.mark.parametrize('channels', [1, 3])
def test_8_bit_samples_survive_a_round_trip_exactly(
  tmp_path, extension, channels
):
  expected = to_pixels(samples(5, 7, channels))
  path = tmp_path / f'a{extension.upper()}'
  image_io.write_image(path, expected)
  assert_reads(path, expected, channels=channels)


@pytest.mark.parametrize('extension', LOSSLESS)
def test_rounding_is_to_the_nearest_sample(tmp_path, extension):
  image = np.random.default_rng(0).uniform(-1, 1, (9, 8, 3))
  image_io.write_image(tmp_path / f'a{extension}', image)
  error = image_io.read_image(tmp_path / f'a{extension}') - image
  assert np.abs(error).max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize('extension', ['.jpg', '.jpeg'])
@pytest.mark.parametrize('channels', [1, 3])
def test_jpeg_is_close_on_a_smooth_picture(tmp_path, extension, channels):
  y, x, c = np.mgrid[:16, :24, :channels]
  image = np.sin(0.1 * x + 0.15 * y + c)
  image_io.write_image(tmp_path / f'a{extension}', image)
  read = image_io.read_image(tmp_path / f'a{extension}', channels=channels)
  assert np.abs(read - image).max() < 0.06


def test_grey_is_repeated_and_colour_becomes_luma(tmp_path):
  grey = samples(4, 5)
  path = save(tmp_path / 'grey.png', grey)
  assert_reads(path, to_pixels(grey)[..., None].repeat(3, -1))
  assert_reads(path, to_pixels(grey)[..., None], channels=1)
  colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77] * 3]])
  path = save(tmp_path / 'rgb.png', colours.astype(np.uint8))
  luma = np.array([0.299, 0.587, 0.114, 77 / 255])
  assert_reads(path, 2 * luma[None, :, None] - 1, channels=1)


@pytest.mark.parametrize('extension', ['.png', '.tif', '.bmp'])
def test_palette_and_1_bit(tmp_path, extension):
  colours = samples(4, 3, seed=1)
  indices = samples(6, 5) % 4
  picture = Image.fromarray(indices).convert('P')
  picture.frombytes(indices.tobytes())
  picture.putpalette(colours.tobytes())
  path = save(tmp_path / f'palette{extension}', picture)
  assert_reads(path, to_pixels(colours[indices]))
  bits = samples(6, 5) % 2
  picture = Image.fromarray(255 * bits).convert('1')
  path = save(tmp_path / f'bits{extension}', picture)
  assert_reads(path, 2.0 * bits[..., None] - 1, channels=1)


@pytest.mark.parametrize('extension', ['.tif', '.jpg'])
def test_cmyk(tmp_path, extension):
  # No ink, all of C, M and Y, red as M and Y, and black ink alone. Blocks of
  # 16 pixels keep JPEG from mixing them.
  inks = [(0, 0, 0, 0), (255, 255, 255, 0), (0, 255, 255, 0), (0, 0, 0, 255)]
  colours = [(1, 1, 1), (-1, -1, -1), (1, -1, -1), (-1, -1, -1)]
  picture = Image.new('CMYK', (64, 16))
  for i, ink in enumerate(inks):
    picture.paste(ink, (16 * i, 0, 16 * i + 16, 16))
  path = save(tmp_path / f'a{extension}', picture)
  image = image_io.read_image(path)
  expected = np.array(colours, np.float32)[None].repeat(16, 1)
  assert np.abs(image - expected).max() <= (0.04 if extension == '.jpg' else 0)


# Reading: transparency.


@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp'])
@pytest.mark.parametrize('mode', ['LA', 'RGBA'])
def test_alpha_is_composited_on_white(tmp_path, extension, mode):
  values = samples(5, 6, len(mode))
  values[0, 0] = 255
  path = save(
    tmp_path / f'a{extension}',
    Image.frombytes(mode, (6, 5), values.tobytes()),
    **({'lossless': True, 'exact': True} if extension == '.webp' else {}),
  )
  colour, alpha = values[..., :-1] / 255, values[..., -1:] / 255
  expected = 2 * (alpha * colour + (1 - alpha)) - 1
  with pytest.warns(UserWarning, match='white') as record:
    image = image_io.read_image(path, channels=len(mode) - 1)
  assert str(path) in str(record[0].message)
  assert record[0].filename == __file__
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


def test_opaque_alpha_is_silent(tmp_path):
  values = samples(5, 6, 4)
  values[..., -1] = 255
  path = save(tmp_path / 'a.png', values)
  assert_reads(path, to_pixels(values[..., :-1]))


def test_transparent_palette_entry_becomes_white(tmp_path):
  indices = np.array([[0, 1]], np.uint8)
  picture = Image.fromarray(indices).convert('P')
  picture.frombytes(indices.tobytes())
  picture.putpalette([10, 20, 30, 40, 50, 60])
  path = save(tmp_path / 'a.png', picture, transparency=1)
  with pytest.warns(UserWarning, match='white'):
    image = image_io.read_image(path)
  expected = to_pixels([[[10, 20, 30], [255] * 3]])
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


# Reading: more than 8 bits.


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


# Reading: orientation, frames and size.


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp', '.jpg'])
def test_exif_orientation_is_applied(tmp_path, extension, orientation):
  # Blocks of one colour, which JPEG stores without loss but for rounding.
  blocks = np.array([[0, 60, 120], [180, 220, 255]], np.uint8)
  stored = np.kron(blocks, np.ones((16, 16), np.uint8))[..., None].repeat(3, -1)
  exif = Image.Exif()
  exif[ORIENTATION] = orientation
  options = {'.webp': {'lossless': True}, '.jpg': {'quality': 100}}
  path = tmp_path / f'a{extension}'
  save(path, stored, exif=exif, **options.get(extension, {}))
  image = image_io.read_image(path)
  expected = UPRIGHT[orientation](to_pixels(stored))
  assert image.shape == expected.shape
  assert np.abs(image - expected).max() < (
    0.02 if extension == '.jpg' else 1e-6
  )


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


@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp'])
def test_the_first_frame_is_read_with_a_warning(tmp_path, extension):
  frames = [samples(4, 5, 3, seed=seed) for seed in range(3)]
  path = tmp_path / f'a{extension}'
  save(
    path,
    frames[0],
    save_all=True,
    append_images=[Image.fromarray(frame) for frame in frames[1:]],
    **({'lossless': True} if extension == '.webp' else {}),
  )
  with pytest.warns(UserWarning, match=r'a\..*first of 3 frames'):
    image = image_io.read_image(path)
  np.testing.assert_allclose(image, to_pixels(frames[0]), rtol=0, atol=3e-7)


@pytest.mark.parametrize('bits', [8, 16])
def test_single_pixel(tmp_path, bits):
  image_io.write_image(tmp_path / 'a.png', np.ones((1, 1, 3)), bit_depth=bits)
  assert_reads(tmp_path / 'a.png', np.ones((1, 1, 3)))


@pytest.mark.parametrize(
  ('size', 'max_side', 'new_size'),
  [((40, 20), 10, (10, 5)), ((20, 30), 15, (10, 15)), ((1, 100), 10, (1, 10))],
)
def test_max_side_keeps_the_aspect_and_says_so(
  tmp_path, size, max_side, new_size
):
  path = tmp_path / 'a.png'
  image_io.write_image(path, np.full((*size, 3), 0.2), bit_depth=16)
  old, new = ('{}x{}'.format(*s) for s in (size, new_size))
  with pytest.warns(UserWarning, match=f'from {old} to {new}'):
    image = image_io.read_image(path, max_side=max_side)
  assert image.shape == (*new_size, 3)
  np.testing.assert_allclose(image, 0.2, atol=1e-4)


def test_max_side_is_silent_where_the_picture_fits(tmp_path):
  values = samples(6, 8, 3)
  path = save(tmp_path / 'a.png', values)
  assert_reads(path, to_pixels(values), max_side=8)


def test_downscaling_is_antialiased_and_stays_in_range(tmp_path):
  # Stripes at the Nyquist limit have no counterpart at half the size: grey.
  stripes = np.tile([-1.0, 1.0], 32)[None, :, None].repeat(64, 0)
  image_io.write_image(tmp_path / 'stripes.png', stripes)
  with pytest.warns(UserWarning, match='downscaled'):
    image = image_io.read_image(tmp_path / 'stripes.png', max_side=16)
  assert np.abs(image[:, 2:-2]).max() < 0.02
  edge = np.where(np.arange(64) < 30, -1.0, 1.0)[None, :, None].repeat(64, 0)
  image_io.write_image(tmp_path / 'edge.png', edge)
  with pytest.warns(UserWarning, match='downscaled'):
    image = image_io.read_image(tmp_path / 'edge.png', max_side=16)
  assert (image.min(), image.max()) == (-1, 1)


# Reading: what cannot be read.


@contextlib.contextmanager
def raises_one_line(path, match, kind=ValueError):
  with pytest.raises(kind, match=match) as error:
    yield
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)


def test_missing_file_and_folder(tmp_path):
  path = tmp_path / 'none.png'
  with raises_one_line(path, 'no file', FileNotFoundError):
    image_io.read_image(path)
  with raises_one_line(tmp_path, 'folder', IsADirectoryError):
    image_io.read_image(tmp_path)


def test_file_without_permission(tmp_path, monkeypatch):
  # As root every file is readable, so the refusal is simulated.
  def refuse(self):
    raise PermissionError(13, 'Permission denied')

  monkeypatch.setattr(pathlib.Path, 'read_bytes', refuse)
  with raises_one_line(tmp_path / 'a.png', 'Permission denied'):
    image_io.read_image(tmp_path / 'a.png')


def test_files_that_are_no_pictures(tmp_path):
  path = tmp_path / 'a.png'
  for content, match in [
    (b'', 'is empty'),
    (b'not a picture\n' * 9, 'expected PNG, JPEG'),
    (b'GIF89a' + bytes(50), 'expected PNG, JPEG'),
  ]:
    path.write_bytes(content)
    with raises_one_line(path, match):
      image_io.read_image(path)


@pytest.mark.parametrize('share', [0.5, 0.9])
@pytest.mark.parametrize('extension', [*LOSSLESS, '.jpg'])
def test_truncated_files(tmp_path, extension, share):
  path = save(tmp_path / f'a{extension}', samples(64, 64, 3))
  data = path.read_bytes()
  path.write_bytes(data[: int(share * len(data))])
  # Without its index, which may be at the end, a TIFF file is nothing.
  match = 'truncated or corrupt|expected PNG, JPEG'
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Pillow also warns of what it misses.
    with raises_one_line(path, match):
      image_io.read_image(path)


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


@pytest.mark.parametrize(
  'options', [{'channels': 2}, {'channels': 4}, {'max_side': 0}]
)
def test_read_options_are_checked(tmp_path, options):
  path = save(tmp_path / 'a.png', samples(2, 2))
  name, value = next(iter(options.items()))
  with pytest.raises(ValueError, match=f'`{name}`.*{value}'):
    image_io.read_image(path, **options)


# Writing.


def test_values_are_clipped_and_folders_made(tmp_path):
  path = tmp_path / 'new' / 'folder' / 'a.png'
  image = np.array([[[-7.0], [7.0], [0.2]]])
  image_io.write_image(path, image, bit_depth=16)
  image = image_io.read_image(path, channels=1)
  np.testing.assert_allclose(image[0, :, 0], [-1, 1, 0.2], atol=2e-5)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_jax_arrays_are_written(tmp_path, dtype):
  image = jnp.array([-1, 0.5, 1], dtype).reshape(1, 3, 1)
  image_io.write_image(tmp_path / 'a.png', image)
  read = image_io.read_image(tmp_path / 'a.png', channels=1)
  np.testing.assert_allclose(read, image.astype(jnp.float32), atol=1 / 255)


@pytest.mark.parametrize(
  ('name', 'image', 'options', 'match'),
  [
    ('a.gif', np.zeros((2, 2, 3)), {}, r'\.png.*a\.gif'),
    ('a', np.zeros((2, 2, 3)), {}, r'must end in'),
    ('a.png', np.zeros((2, 2, 3), np.uint8), {}, 'uint8.*127.5'),
    ('a.png', np.zeros((2, 2, 3), bool), {}, 'floats.*bool'),
    ('a.png', np.full((2, 2, 3), np.nan), {}, 'NaN'),
    ('a.png', np.full((2, 2, 3), np.inf), {}, 'infinite'),
    ('a.png', np.zeros((2, 2)), {}, r'\[H, W, C\].*\(2, 2\)'),
    ('a.png', np.zeros((1, 2, 2, 3)), {}, r'\(1, 2, 2, 3\)'),
    ('a.png', np.zeros((2, 2, 2)), {}, r'\(2, 2, 2\)'),
    ('a.png', np.zeros((0, 2, 3)), {}, r'\(0, 2, 3\)'),
    ('a.png', np.zeros((2, 2, 3)), {'bit_depth': 12}, '`bit_depth`.*12'),
    ('a.jpg', np.zeros((2, 2, 3)), {'bit_depth': 16}, r'16 needs.*a\.jpg'),
  ],
)
def test_bad_pictures_leave_no_trace(tmp_path, name, image, options, match):
  with pytest.raises(ValueError, match=match):
    image_io.write_image(tmp_path / 'folder' / name, image, **options)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('broken', ['fsync', 'replace'])
def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch, broken):
  path = tmp_path / 'a.png'
  path.write_bytes(b'old')

  def fail(*unused_args):
    raise OSError('disk full')

  monkeypatch.setattr(os, broken, fail)
  with pytest.raises(OSError, match='disk full'):
    image_io.write_image(path, np.zeros((2, 2, 3)))
  assert list(tmp_path.iterdir()) == [path]
  assert path.read_bytes() == b'old'


def test_a_write_replaces_the_old_file_alone(tmp_path):
  path = tmp_path / 'a.png'
  path.write_bytes(b'old')
  image_io.write_image(path, np.ones((2, 2, 3)))
  assert list(tmp_path.iterdir()) == [path]
  assert_reads(path, np.ones((2, 2, 3)))
  # Others may read the picture as they may any file that is made here.
  (tmp_path / 'plain').touch()
  modes = [stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()]
  assert modes[0] == modes[1]


# Grids.


def test_grid_places_pictures_in_reading_order():
  images = np.random.default_rng(0).uniform(-1, 1, (5, 3, 4, 3))
  padding, zoom = 2, 3
  grid = image_io.make_grid(
    images, num_columns=2, padding=padding, zoom=zoom, background=0.25
  )
  assert grid.shape == (3 * (9 + 2) + 2, 2 * (12 + 2) + 2, 3)
  assert grid.dtype == np.float32
  is_background = np.ones(grid.shape[:2], bool)
  for i, image in enumerate(images):
    for y, x in np.ndindex(3, 4):
      top = padding + (i // 2) * (9 + padding) + y * zoom
      left = padding + (i % 2) * (12 + padding) + x * zoom
      block = grid[top : top + zoom, left : left + zoom]
      np.testing.assert_allclose(block - image[y, x], 0, atol=1e-7)
      is_background[top : top + zoom, left : left + zoom] = False
  np.testing.assert_array_equal(grid[is_background], 0.25)


@pytest.mark.parametrize(
  ('num_images', 'rows', 'columns'),
  [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3), (9, 3, 3), (10, 3, 4)],
)
def test_default_grid_is_about_square(num_images, rows, columns):
  grid = image_io.make_grid(np.zeros((num_images, 2, 3, 1)), padding=0)
  assert grid.shape == (2 * rows, 3 * columns, 1)


def test_grid_without_padding_is_a_row():
  images = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5, 1))
  grid = image_io.make_grid(images, num_columns=3, padding=0)
  np.testing.assert_array_equal(grid, np.hstack(images).astype(np.float32))


def test_written_grid_is_the_grid(tmp_path):
  images = to_pixels(samples(5, 3, 3, 3))
  options = {'num_columns': 4, 'padding': 2, 'zoom': 2, 'background': -1.0}
  image_io.write_grid(tmp_path / 'a.png', images, **options)
  assert_reads(tmp_path / 'a.png', image_io.make_grid(images, **options))


@pytest.mark.parametrize(
  ('images', 'options', 'match'),
  [
    (np.zeros((2, 3, 3)), {}, r'`images`.*\[N, H, W, C\].*\(2, 3, 3\)'),
    (np.zeros((0, 3, 3, 1)), {}, r'\(0, 3, 3, 1\)'),
    (np.zeros((2, 3, 3, 1), int), {}, '`images`.*int'),
    (np.zeros((2, 3, 3, 1)), {'num_columns': 0}, '`num_columns`.*0'),
    (np.zeros((2, 3, 3, 1)), {'padding': -1}, '`padding`.*-1'),
    (np.zeros((2, 3, 3, 1)), {'zoom': 0}, '`zoom`.*0'),
    (np.zeros((2, 3, 3, 1)), {'zoom': 1.5}, '`zoom`.*1.5'),
    (np.zeros((2, 3, 3, 1)), {'background': 255}, '`background`.*255'),
  ],
)
def test_grid_arguments_are_checked(images, options, match):
  with pytest.raises(ValueError, match=match):
    image_io.make_grid(images, **options)


# Checking.


@pytest.mark.parametrize('make', [np.asarray, jnp.asarray])
@pytest.mark.parametrize('channels', [1, 3])
def test_good_pictures_pass_unchanged(make, channels):
  image = np.linspace(-1.0005, 1.0005, 6 * channels).reshape(2, 3, channels)
  checked = image_io.check_image(make(image))
  assert isinstance(checked, np.ndarray)
  assert checked.dtype == np.float32
  np.testing.assert_array_equal(checked, image.astype(np.float32))


@pytest.mark.parametrize(
  ('image', 'match'),
  [
    (np.zeros((2, 2, 3), np.uint8), 'divide.*127.5 and subtract 1'),
    (np.full((2, 2, 3), 255.0), r'\[-1, 1\], got \[255, 255\].*127.5'),
    (np.full((2, 2, 3), -1.01), r'got \[-1.01, -1.01\]'),
    (np.full((2, 2, 3), np.nan), 'finite'),
    (np.zeros((2, 2)), r'\[H, W, C\].*\(2, 2\)'),
    (np.zeros((2, 2, 4)), r'C = 1 or 3.*\(2, 2, 4\)'),
    (np.zeros((0, 0, 3)), r'empty.*\(0, 0, 3\)'),
  ],
)
def test_bad_pictures_are_named(image, match):
  with pytest.raises(ValueError, match=match) as error:
    image_io.check_image(image, name='photo')
  assert '`photo`' in str(error.value)
