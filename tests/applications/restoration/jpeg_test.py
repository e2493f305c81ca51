import itertools
import sys

import jax
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.applications.restoration import restore_jpeg
from internal_diffusion.applications.restoration.jpeg import noise_levels
from internal_diffusion.data.jpeg import encode_cells
from tests.applications.restoration.small_pictures import make_picture, psnr

KEY = jax.random.key(0)
MODULE = sys.modules[restore_jpeg.__module__]
CLEAN = make_picture()
CELLS = encode_cells(CLEAN, quality=10)
DECODED = np.asarray(CELLS.decode())


@pytest.fixture(autouse=True, scope='module')
def few_steps():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(MODULE, '_NUM_STEPS', 4)
    yield


@pytest.fixture(scope='module')
def restored():
  return restore_jpeg(KEY, DECODED, CELLS, num_samples=2)


def test_is_nearer_to_the_picture_before_compression(restored):
  assert psnr(restored.mean, CLEAN) > psnr(DECODED, CLEAN) + 0.3
  for values in restored[:4]:
    assert values.shape == CLEAN.shape
    assert np.isfinite(values).all()
  assert (restored.std > 0).all()


def test_encoding_it_gives_the_same_coefficients(restored):
  share = CELLS.kept_share(restored.mean)
  assert share > 0.99
  assert restored.found == {'kept_coefficients': share}


def test_samples_are_in_the_cells_and_differ(restored):
  assert restored.samples.shape == (2, *CLEAN.shape)
  first, second = restored.samples
  assert np.abs(first - second).max() > 0.01
  for sample in restored.samples:
    assert CELLS.kept_share(sample) > 0.98


def test_one_seed_one_result_and_nothing_is_compiled_again(restored):
  other = encode_cells(make_picture(shift=0.1), quality=20)
  other_key = jax.random.key(1)
  with compilation.measure_compilation() as meter:
    again = restore_jpeg(KEY, DECODED, CELLS, num_samples=2)
    restore_jpeg(other_key, DECODED, other, num_samples=1)
  assert meter.count == 0
  for one, same in zip(restored[:5], again[:5], strict=True):
    np.testing.assert_array_equal(one, same)


def test_the_spread_has_a_part_of_what_quantisation_removed(restored):
  lost = np.sqrt(np.mean((DECODED - CLEAN) ** 2))
  error = np.sqrt(np.mean((restored.mean - CLEAN) ** 2))
  std = np.sqrt(np.mean(restored.std**2))
  assert 0.6 * lost < std < 1.1 * lost
  assert 0.7 * error < std < 1.4 * error


def test_colour():
  clean = make_picture(3)
  cells = encode_cells(clean, quality=10)
  found = restore_jpeg(KEY, cells.decode(), cells)
  assert found.mean.shape == found.std.shape == clean.shape
  assert psnr(found.mean, clean) > psnr(cells.decode(), clean)
  assert found.found['kept_coefficients'] > 0.97


def test_noise_levels_fall_and_grow_with_the_steps():
  levels = [
    noise_levels(encode_cells(CLEAN, quality=quality))
    for quality in (10, 20, 40)
  ]
  for coarse, fine in itertools.pairwise(levels):
    assert (coarse.loop > fine.loop).all()
    assert (np.diff(coarse.loop) < 0).all()
  # Half of the steps, and the levels are lower by the square root of 2.
  for ten, twenty in zip(*levels[:2], strict=True):
    np.testing.assert_allclose(ten / twenty, 2**0.5, rtol=0.01)
