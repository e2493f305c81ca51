import sys

import jax
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.applications.restoration import inpaint
from tests.applications.restoration.small_pictures import (
  SIZE,
  make_noise,
  make_picture,
  psnr,
)

KEY = jax.random.key(0)
MODULE = sys.modules[inpaint.__module__]
MASK = np.random.default_rng(0).uniform(size=SIZE) < 0.4
ROW, COLUMN = np.indices(SIZE)[..., None] / 36
RAMP = (0.8 * ROW - 0.5 * COLUMN + 0.1).astype(np.float32)


@pytest.fixture(autouse=True, scope='module')
def few_steps():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(MODULE, '_RHOS', (100.0, 8.0, 8.0))
    patch.setattr(MODULE, '_FIRST_STEPS', 2)
    yield


def damage(image):
  """The picture with wild values at the missing pixels."""
  return np.where(MASK[..., None], 5.0, image)


@pytest.fixture(scope='module')
def restored():
  return inpaint(KEY, damage(make_picture()), MASK, num_samples=2)


def test_seen_pixels_stay_bit_for_bit(restored):
  clean = make_picture()
  assert restored.mean.shape == restored.std.shape == clean.shape
  assert restored.samples.shape == (2, *clean.shape)
  for values in (restored.mean, restored.low, restored.high, *restored.samples):
    np.testing.assert_array_equal(values[~MASK], clean[~MASK])
  assert not restored.std[~MASK].any()


def test_missing_pixels_are_filled_and_uncertain(restored):
  clean = make_picture()
  nearest = np.where(MASK[..., None], clean[~MASK].mean(), clean)
  assert psnr(restored.mean, clean) > psnr(nearest, clean) + 6
  assert (restored.std[MASK] > 0).all()
  assert restored.found == {'missing': round(float(MASK.mean()), 4)}


def test_interval_holds_most_missing_pixels(restored):
  clean = make_picture()
  inside = (restored.low <= clean) & (clean <= restored.high)
  assert 0.75 < inside[MASK].mean() < 1


def test_samples_differ_where_pixels_are_missing(restored):
  first, second = restored.samples
  assert np.abs(first - second)[MASK].max() > 0.01
  assert psnr(first, make_picture()) > psnr(restored.mean, make_picture()) - 6


def test_one_seed_one_result(restored):
  again = inpaint(KEY, damage(make_picture()), MASK, num_samples=2)
  for one, other in zip(restored[:5], again[:5], strict=True):
    np.testing.assert_array_equal(one, other)


def test_a_ramp_is_continued_and_nothing_compiled_again(restored):
  key = jax.random.key(1)
  with compilation.measure_compilation() as meter:
    found = inpaint(key, damage(RAMP), MASK, num_samples=2)
  assert meter.count == 0
  np.testing.assert_allclose(found.mean, RAMP, atol=0.02)


def test_noise_is_removed_from_seen_pixels_too():
  # A ramp is known to its two slopes and level: nearly no error is left.
  noisy = RAMP + make_noise(20)
  found = inpaint(KEY, damage(noisy), MASK, sigma=20.0, num_samples=1)
  error = (found.mean - RAMP) * 127.5
  for where in (MASK, ~MASK):
    assert np.sqrt(np.mean(error[where] ** 2)) < 6
  assert (found.std > 0).all()
  assert found.found['sigma'] == 20
  assert np.abs(found.samples[0] - noisy)[~MASK].max() > 0.01


def test_colour():
  clean = make_picture(3)
  found = inpaint(KEY, damage(clean), MASK)
  assert found.std.shape == clean.shape
  np.testing.assert_array_equal(found.mean[~MASK], clean[~MASK])
  assert psnr(found.mean, clean) > 24


def test_two_seen_pixels_are_enough():
  # None of them is held out, so nothing calibrates.
  mask = np.ones(SIZE, bool)
  mask[5, 6] = mask[20, 30] = False
  found = inpaint(KEY, make_picture(), mask)
  for values in found[:4]:
    assert np.isfinite(values).all()
  assert (found.std[mask] > 0).all()


def test_bad_noise_level():
  with pytest.raises(ValueError, match='sigma'):
    inpaint(KEY, make_picture(), MASK, sigma=-1.0)


@pytest.mark.parametrize(
  'mask',
  [MASK[:20], MASK * 1.0, np.zeros(SIZE, bool), np.ones(SIZE, bool)],
)
def test_bad_mask(mask):
  with pytest.raises(ValueError, match='`mask` must be'):
    inpaint(KEY, make_picture(), mask)
