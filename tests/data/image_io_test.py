"""Reading options, writing, grids and checks of pictures."""

import os
import stat

import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import image_io
from tests.data.picture_files import assert_reads, samples, save, to_pixels

# Without `pytest.warns`, a test also shows that nothing is said.
pytestmark = pytest.mark.filterwarnings('error')


# Reading.


def test_grey_is_repeated_and_colour_becomes_luma(tmp_path):
  grey = samples(4, 5)
  path = save(tmp_path / 'grey.png', grey)
  assert_reads(path, to_pixels(grey)[..., None].repeat(3, -1))
  assert_reads(path, to_pixels(grey)[..., None], channels=1)
  colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77] * 3]])
  path = save(tmp_path / 'rgb.png', colours.astype(np.uint8))
  luma = np.array([0.299, 0.587, 0.114, 77 / 255])
  assert_reads(path, 2 * luma[None, :, None] - 1, channels=1)


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
    ('a.png', np.zeros((2, 2, 5)), {}, r'\(2, 2, 5\)'),
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
