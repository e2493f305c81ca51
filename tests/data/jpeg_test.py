"""The cells of JPEG files: what is in them, and the nearest pictures."""

import io
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import data

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import jpeg
from internal_diffusion.data.image_io import read_image

SIZES = [(64, 48), (37, 51), (17, 16), (9, 40)]


def photograph(size, channels=3, seed=0):
  top, left = 40 + 20 * seed, 180
  pixels = data.astronaut()[top : top + size[0], left : left + size[1]]
  return jnp.asarray(pixels[..., :channels] / 127.5 - 1, jnp.float32)


def smooth(image):
  """Another picture near it, without its detail."""
  small = (image.shape[0] // 2, image.shape[1] // 2, image.shape[2])
  return jax.image.resize(
    jax.image.resize(image, small, 'linear'), image.shape, 'linear'
  )


def reencode(image, cells, quality, subsampling):
  """Number of coefficients that encoding changes."""
  again = jpeg.encode_cells(image, quality=quality, subsampling=subsampling)
  pairs = zip(cells.planes, again.planes, strict=True)
  return sum(int((a.levels != b.levels).sum()) for a, b in pairs)


def with_factors(cells, factor):
  """Cells of the same levels whose colour planes have another subsampling."""
  luma, *others = cells.planes
  rows, columns = (
    math.ceil(side / (8 * f))
    for side, f in zip(cells.stored_size, factor, strict=True)
  )
  planes = [
    p.replace(levels=p.levels[:rows, :columns], factor=factor) for p in others
  ]
  return cells.replace(planes=(luma, *planes))


@pytest.mark.parametrize('subsampling', jpeg.SUBSAMPLINGS)
@pytest.mark.parametrize('size', SIZES)
def test_a_picture_lies_in_its_own_cells(size, subsampling):
  image = photograph(size)
  cells = jpeg.encode_cells(image, quality=20, subsampling=subsampling)
  assert cells.size == size
  # Beside the encoder's own rounding.
  assert cells.kept_share(image) > 0.998


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('size', SIZES)
def test_a_settled_picture_is_encoded_the_same(size, channels):
  image = photograph(size, channels)
  start = smooth(image)
  for quality, subsampling in [(10, '4:2:0'), (30, '4:2:2'), (40, '4:4:4')]:
    cells = jpeg.encode_cells(image, quality=quality, subsampling=subsampling)
    settled = cells.settle(start)
    assert reencode(start, cells, quality, subsampling) > 2
    # Colours are rounded twice, and clipped.
    most = 0 if channels == 1 else 2
    assert reencode(settled, cells, quality, subsampling) <= most
    assert cells.kept_share(settled) >= 1 - 2e-3
    assert float(jnp.abs(settled).max()) <= 1


@pytest.mark.parametrize('factor', [(1, 1), (1, 2), (2, 2), (2, 1), (1, 4)])
def test_projection_ends_in_the_cells_of_every_subsampling(factor):
  # Whole blocks: then one projection is exact.
  image = photograph((32, 64))
  cells = jpeg.encode_cells(image, quality=30, subsampling='4:4:4')
  cells = with_factors(cells, factor)
  found = cells.project(jax.random.normal(jax.random.key(0), image.shape))
  for plane, own in zip(
    jpeg.picture_to_planes(cells, found), cells.planes, strict=True
  ):
    offset = own.coefficients(plane) - own.centres()
    assert np.all(np.abs(offset) <= own.steps[None, None] / 2)
  np.testing.assert_allclose(cells.project(found), found, atol=1e-4)


def test_projection_is_the_nearest_picture():
  image = photograph((32, 32))
  cells = jpeg.encode_cells(image, quality=10)
  far = image + jax.random.normal(jax.random.key(0), image.shape)
  nearest = cells.project(far)
  other = cells.project(image)
  # Of a convex set: the way to any other point of it makes no acute angle with
  # the way back, in each plane.
  ways = (far - nearest, other - nearest)
  planes = [
    jnp.einsum('...c,pc->p...', w, jnp.asarray(jpeg._YCBCR)) for w in ways
  ]
  for one, two in zip(*planes, strict=True):
    assert float(jnp.vdot(one, two)) <= 1e-2


def test_an_uncertain_estimate_goes_to_the_centres():
  image = photograph((32, 32), 1)
  cells = jpeg.encode_cells(image, quality=10)
  far = image + 0.1
  np.testing.assert_allclose(
    jnp.clip(cells.project(far, 1e4), -1, 1), cells.decode(), atol=1e-3
  )
  # As wide as a cell, an estimate and the centre have equal weights.
  steps = cells.planes[0].steps
  sigma = float(steps[0, 0]) / np.sqrt(12) / 127.5
  inside = cells.project(image, 1e4).at[..., 0].add(2 / 127.5)
  moved = cells.project(inside, sigma) - cells.project(image, 1e4)
  np.testing.assert_allclose(moved, 1 / 127.5, atol=1e-4)


@pytest.mark.parametrize('channels', [1, 3])
def test_decoded_picture_is_that_of_another_decoder(tmp_path, channels):
  pixels = np.asarray(data.astronaut()[:61, 180:260])
  flat = pixels if channels == 3 else pixels[..., 0]
  path = tmp_path / 'picture.jpg'
  Image.fromarray(flat).save(path, quality=75, subsampling='4:4:4')
  cells = jpeg.read_jpeg_cells(path)
  decoded = read_image(path, channels=channels)
  assert np.abs(cells.decode() - decoded).max() < 2.5 / 127.5
  batch = jnp.asarray(decoded)[None]
  np.testing.assert_allclose(
    cells.project(batch)[0], cells.project(batch[0]), atol=1e-5
  )


@pytest.mark.parametrize('orientation', range(1, 9))
def test_cells_of_a_turned_picture_are_those_of_the_upright_one(
  tmp_path, orientation
):
  path = tmp_path / 'picture.jpg'
  exif = Image.Exif()
  exif[274] = orientation
  pixels = data.astronaut()[:40, 180:250]
  Image.fromarray(pixels).save(path, quality=90, subsampling=0, exif=exif)
  upright = read_image(path)
  cells = jpeg.read_jpeg_cells(path)
  assert cells.size == upright.shape[:2]
  assert np.abs(cells.decode() - upright).max() < 2.5 / 127.5
  np.testing.assert_allclose(
    cells.project(jnp.asarray(upright)), upright, atol=4 / 127.5
  )


def test_planes_of_rgb(tmp_path):
  path = tmp_path / 'picture.jpg'
  pixels = data.astronaut()[:40, 180:250]
  Image.fromarray(pixels).save(path, quality=90, keep_rgb=True)
  decoded = jpeg.read_jpeg_cells(path).decode()
  assert np.abs(decoded - read_image(path)).max() < 1.5 / 127.5


def test_a_second_picture_compiles_nothing():
  for seed in range(2):
    image = photograph((32, 32), seed=seed)
    cells = jpeg.encode_cells(image, quality=10 + seed)
    with measure_compilation() as meter:
      cells.project(image, 0.1 * seed)
      cells.settle(image)
  assert meter.count == 0


def test_what_cannot_be_read_is_refused(tmp_path):
  path = tmp_path / 'picture.png'
  Image.fromarray(data.astronaut()[:20, :20]).save(path)
  with pytest.raises(ValueError, match=r'picture.png.*must be a JPEG.*PNG'):
    jpeg.read_jpeg_cells(path)
  with pytest.raises(FileNotFoundError, match='no file'):
    jpeg.read_jpeg_cells(tmp_path / 'missing.jpg')
  buffer = io.BytesIO()
  Image.fromarray(data.astronaut()[:64, :64]).save(buffer, 'JPEG')
  short = tmp_path / 'short.jpg'
  short.write_bytes(buffer.getvalue()[:-300])
  with pytest.raises(ValueError, match=r'short.jpg.*truncated'):
    jpeg.read_jpeg_cells(short)


def test_wrong_arguments_are_refused():
  image = photograph((16, 16))
  for quality in (0, 101, 7.5):
    with pytest.raises(ValueError, match=f'`quality`.*{quality}'):
      jpeg.encode_cells(image, quality=quality)
  with pytest.raises(ValueError, match=r"`subsampling`.*'4:1:1'"):
    jpeg.encode_cells(image, quality=10, subsampling='4:1:1')
  with pytest.raises(ValueError, match=r'`image`.*\(16, 16, 2\)'):
    jpeg.encode_cells(image[..., :2], quality=10)
  cells = jpeg.encode_cells(image, quality=10)
  with pytest.raises(ValueError, match=r'`image` must be \[..., 16, 16, C\]'):
    cells.project(image[1:])
  with pytest.raises(ValueError, match=r'`image` must have 3 channels'):
    cells.kept_share(image[..., :1])
  with pytest.raises(ValueError, match=r'`num_steps`.*0'):
    cells.settle(image, num_steps=0)
