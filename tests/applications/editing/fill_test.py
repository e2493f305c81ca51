import jax
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.applications.editing import extend, fill, remove
from internal_diffusion.applications.editing.remove import grow_mask

KEY = jax.random.key(0)
SIZE = (44, 48)
ROW, COLUMN = np.indices(SIZE)
# A chequerboard of squares of 3 pixels: any continuation keeps its two values.
BOARD = np.where((ROW // 3 + COLUMN // 3) % 2, 0.6, -0.4)
HOLE = np.zeros(SIZE, bool)
HOLE[15:27, 18:30] = True
SCRATCH = abs(ROW - COLUMN) < 2


def picture(num_channels=1):
  tints = np.array([1.0, 0.5, -0.7])[:num_channels]
  return (BOARD[..., None] * tints).astype(np.float32)


def damage(image, mask):
  """The picture with a value at the hole that occurs nowhere else."""
  return np.where(mask[..., None], 5.0, image)


@pytest.fixture(scope='module')
def filled():
  return fill(KEY, damage(picture(), HOLE), HOLE, num_samples=2)


def test_known_pixels_stay_bit_for_bit(filled):
  assert filled.samples.shape == (2, *SIZE, 1)
  assert filled.samples.dtype == np.float32
  for sample in filled.samples:
    np.testing.assert_array_equal(sample[~HOLE], picture()[~HOLE])
  assert not filled.std[~HOLE].any()


def test_pattern_continues_into_the_hole(filled):
  best = min(np.abs(s - picture())[HOLE].mean() for s in filled.samples)
  assert best < 0.02


def test_one_seed_one_result_and_nothing_compiled_again(filled):
  with compilation.measure_compilation() as meter:
    again = fill(KEY, damage(picture(), HOLE), HOLE, num_samples=2)
  assert meter.count == 0
  np.testing.assert_array_equal(again.samples, filled.samples)


def test_another_picture_of_its_size_compiles_nothing(filled):
  other = np.random.default_rng(0).uniform(-1, 1, (*SIZE, 1))
  moved = np.roll(HOLE, (3, -5), (0, 1))
  with compilation.measure_compilation() as meter:
    found = fill(KEY, other, moved, num_samples=2)
  assert meter.count == 0
  # Noise is copied, so the fills are as rough as it is, and differ.
  inside = found.samples[:, moved]
  assert inside.std() > 0.8 * other.std()
  assert found.std[moved].mean() > 0.3 * other.std()


def test_thin_hole_is_determined():
  row, column = np.indices(SIZE) / 40
  ramp = (0.5 * row - 0.7 * column)[..., None].astype(np.float32)
  found = fill(KEY, damage(ramp, SCRATCH), SCRATCH, num_samples=2)
  np.testing.assert_allclose(found.samples[0], ramp, atol=0.02)
  np.testing.assert_array_equal(found.samples[1][~SCRATCH], ramp[~SCRATCH])
  assert found.std.max() < 0.02
  assert found.found['thin'] > 0
  assert found.found['work_areas'] == 0


def test_removal_grows_the_mask(filled):
  small = np.zeros(SIZE, bool)
  small[17:25, 20:28] = True
  found = remove(KEY, damage(picture(), small), small, grow=2, num_samples=2)
  grown = grow_mask(small, 2)
  assert grown.sum() > small.sum()
  np.testing.assert_array_equal(found.samples[0][~grown], picture()[~grown])
  assert found.found['grow'] == 2


def test_extension_keeps_the_picture():
  found = extend(KEY, picture(), (0, 9, 0, 0), num_samples=2)
  assert found.samples.shape == (2, SIZE[0], SIZE[1] + 9, 1)
  for sample in found.samples:
    np.testing.assert_array_equal(sample[:, : SIZE[1]], picture())
  values = np.abs(found.samples[:, :, SIZE[1] :] - 0.1)
  np.testing.assert_allclose(values, 0.5, atol=0.1)


@pytest.mark.parametrize(
  ('mask', 'message'),
  [
    (np.ones(SIZE, bool), '`mask` must be white at some'),
    (np.zeros(SIZE, bool), '`mask` must be white at some'),
    (HOLE[:-1], '`mask` must be bool'),
    ((ROW % 6 > 0) | (COLUMN % 6 > 0), '`mask` must leave a square of 7x7'),
  ],
)
def test_bad_masks(mask, message):
  with pytest.raises(ValueError, match=message):
    fill(KEY, picture(), mask)


def test_bad_arguments():
  with pytest.raises(ValueError, match='`num_samples` must be a positive'):
    fill(KEY, picture(), HOLE, num_samples=0)
  with pytest.raises(
    ValueError, match='`grow` must be a whole number, 0 or more'
  ):
    remove(KEY, picture(), HOLE, grow=-1)
  for expand in ((0, 0, 0, 0), (1, 2, 3), (-1, 0, 0, 2), (0.5, 0, 0, 0)):
    with pytest.raises(ValueError, match='`expand` must be four whole numbers'):
      extend(KEY, picture(), expand)
  with pytest.raises(ValueError, match=r'`expand` to .* memory here'):
    extend(KEY, picture(), (0, 10**6, 10**6, 0))
