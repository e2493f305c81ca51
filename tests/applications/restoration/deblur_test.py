import sys

import jax
import numpy as np
import pytest
from scipy import ndimage, signal

from internal_diffusion import compilation
from internal_diffusion.applications.restoration import deblur
from tests.applications.restoration.small_pictures import (
  SIZE,
  make_noise,
  make_picture,
  psnr,
)

KEY = jax.random.key(0)
MODULE = sys.modules[deblur.__module__]
KERNEL = np.outer([1, 2, 3, 2, 1], [1, 2, 1]) / 36
SIGMA = 2.0


@pytest.fixture(autouse=True, scope='module')
def few_steps():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(MODULE, '_NUM_STEPS', 4)
    yield


def blur(image, kernel=KERNEL):
  return ndimage.convolve(image, kernel[..., None], mode='nearest')


CLEAN = make_picture()
BLURRED = blur(CLEAN) + make_noise(SIGMA)


@pytest.fixture(scope='module')
def restored():
  return deblur(KEY, BLURRED, KERNEL, sigma=SIGMA, num_samples=2)


def test_is_nearer_to_the_sharp_picture(restored):
  assert psnr(restored.mean, CLEAN) > psnr(BLURRED, CLEAN) + 1
  assert restored.found == {'sigma': SIGMA}
  for values in restored[:4]:
    assert values.shape == CLEAN.shape
    assert np.isfinite(values).all()
  assert (restored.std > 0).all()
  assert restored.samples.shape == (2, *CLEAN.shape)


def test_blurred_again_it_is_the_picture_but_for_noise(restored):
  for image in (restored.mean, *restored.samples):
    again = signal.convolve2d(image[..., 0], KERNEL, mode='valid')
    error = again - BLURRED[2:-2, 1:-1, 0]
    assert np.sqrt(np.mean(error**2)) < 1.5 * 2 * SIGMA / 255


def test_interval_holds_most_pixels(restored):
  inside = (restored.low <= CLEAN) & (restored.high >= CLEAN)
  assert inside.mean() > 0.75


def test_one_seed_one_result_and_nothing_is_compiled_again(restored):
  key, other_key = jax.random.key(0), jax.random.key(1)
  with compilation.measure_compilation() as meter:
    again = deblur(key, BLURRED, KERNEL, sigma=SIGMA, num_samples=2)
    other = make_picture(shift=0.1)
    deblur(other_key, blur(other), KERNEL, sigma=1.0, num_samples=2)
  assert meter.count == 0
  for one, same in zip(restored[:5], again[:5], strict=True):
    np.testing.assert_array_equal(one, same)


def test_noise_is_estimated_if_not_given():
  found = deblur(KEY, BLURRED, KERNEL)
  assert 1 <= found.found['sigma'] < 3 * SIGMA
  assert found.samples.shape == (0, *CLEAN.shape)


def test_kernel_may_be_nearly_as_large_as_the_picture(monkeypatch):
  monkeypatch.setattr(MODULE, '_NUM_STEPS', 1)
  kernel = np.full((1, 31), 1 / 31)
  found = deblur(KEY, blur(CLEAN, kernel), kernel, sigma=SIGMA)
  for values in found[:4]:
    assert values.shape == CLEAN.shape
    assert np.isfinite(values).all()


@pytest.mark.parametrize(
  ('kernel', 'sigma', 'words'),
  [
    (np.ones((2, 3)) / 6, 1.0, 'odd'),
    (np.ones((33, 1)) / 33, 1.0, '`kernel` must not be larger'),
    (KERNEL, -1.0, '`sigma` must be'),
    (KERNEL, float('nan'), '`sigma` must be'),
  ],
)
def test_bad_arguments(kernel, sigma, words):
  with pytest.raises(ValueError, match=words):
    deblur(KEY, np.zeros((*SIZE, 1), np.float32), kernel, sigma=sigma)
