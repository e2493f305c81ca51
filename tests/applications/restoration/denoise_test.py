import sys

import jax
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.applications.restoration import denoise
from internal_diffusion.data.noise_correlation import Correlation, unwhiten
from internal_diffusion.data.noise_level import NoiseEstimate
from tests.applications.restoration.small_pictures import (
  SIZE,
  make_noise,
  make_picture,
  psnr,
)

KEY = jax.random.key(0)
MODULE = sys.modules[denoise.__module__]
SIGMA = 20.0
CLEAN = make_picture()
NOISY = CLEAN + make_noise(SIGMA)


def noise_of(sigma, *, gain=0.0, offset=0.0, rho=0.0):
  """What the estimate of the noise would say of a grey picture."""
  correlation = Correlation(
    np.zeros(4), np.zeros(4), axis=1 if rho else None, rho=rho
  )
  return NoiseEstimate(*np.array([[sigma], [gain], [offset]]), correlation, 1.0)


def assert_consistent(found, num_channels, num_samples):
  shape = (*SIZE, num_channels)
  for values in found[:4]:
    assert values.shape == shape
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
  assert found.samples.shape == (num_samples, *shape)
  assert np.isfinite(found.samples).all()
  assert (found.std > 0).all()
  assert (found.low <= found.mean).all()
  assert (found.mean <= found.high).all()


@pytest.fixture(scope='module')
def restored():
  return denoise(KEY, NOISY, sigma=SIGMA, num_samples=2)


def test_is_nearer_to_the_clean_picture(restored):
  assert_consistent(restored, 1, 2)
  assert psnr(restored.mean, CLEAN) > psnr(NOISY, CLEAN) + 5
  assert restored.found == {'sigma': SIGMA}


def test_std_tells_the_size_of_the_error(restored):
  error = np.sqrt(np.mean((restored.mean - CLEAN) ** 2))
  assert 0.4 < np.sqrt(np.mean(restored.std**2)) / error < 2.5


def test_samples_differ_and_resemble_the_clean_picture(restored):
  first, second = restored.samples
  assert np.abs(first - second).max() > 0.01
  # A sample has twice the variance of the mean's error, and hidden detail.
  assert psnr(first, CLEAN) > psnr(NOISY, CLEAN)


def test_one_seed_one_result(restored):
  again = denoise(KEY, NOISY, sigma=SIGMA, num_samples=2)
  for one, other in zip(restored[:5], again[:5], strict=True):
    np.testing.assert_array_equal(one, other)
  other = denoise(jax.random.key(1), NOISY, sigma=SIGMA, num_samples=1)
  assert np.abs(other.samples[0] - restored.samples[0]).max() > 0.01


def test_a_second_picture_of_one_size_compiles_nothing(restored):
  noisy = make_picture(shift=0.1) + make_noise(10, seed=1)
  key = jax.random.key(2)
  with compilation.measure_compilation() as meter:
    denoise(key, noisy, sigma=10.0, num_samples=1)
  assert meter.count == 0


def test_without_noise_the_picture_is_returned():
  found = denoise(KEY, CLEAN, sigma=0)
  np.testing.assert_array_equal(found.mean, CLEAN)
  assert not found.std.any()
  assert found.samples.shape == (0, *CLEAN.shape)


def test_noise_found_to_be_none(monkeypatch):
  monkeypatch.setattr(MODULE, 'estimate_noise', lambda _: noise_of(0.0))
  np.testing.assert_array_equal(denoise(KEY, CLEAN).mean, CLEAN)


def test_estimated_noise_is_told(monkeypatch):
  estimate = noise_of(2 * SIGMA / 255)
  monkeypatch.setattr(MODULE, 'estimate_noise', lambda _: estimate)
  found = denoise(KEY, NOISY)
  assert found.found['sigma'] == SIGMA
  assert psnr(found.mean, CLEAN) > psnr(NOISY, CLEAN) + 5


def test_noise_that_depends_on_brightness(monkeypatch):
  gain, offset = 0.04, 1e-3
  std = np.sqrt(gain * (CLEAN + 1) + offset)
  noisy = CLEAN + std * np.random.default_rng(0).standard_normal(CLEAN.shape)
  estimate = noise_of(float(np.sqrt(np.mean(std**2))), gain=gain, offset=offset)
  monkeypatch.setattr(MODULE, 'estimate_noise', lambda _: estimate)
  found = denoise(KEY, noisy, num_samples=1)
  assert_consistent(found, 1, 1)
  assert psnr(found.mean, CLEAN) > psnr(noisy, CLEAN) + 5
  assert 'depends on the brightness' in found.found['reasons'][0]
  bright = np.median(CLEAN) < CLEAN
  assert found.std[bright].mean() > found.std[~bright].mean()


def test_noise_that_is_correlated_along_the_rows(monkeypatch):
  estimate = noise_of(2 * SIGMA / 255, rho=0.6)
  noise = unwhiten(make_noise(SIGMA), estimate.correlation)
  monkeypatch.setattr(MODULE, 'estimate_noise', lambda _: estimate)
  found = denoise(KEY, CLEAN + noise, num_samples=1)
  assert_consistent(found, 1, 1)
  assert psnr(found.mean, CLEAN) > psnr(CLEAN + noise, CLEAN) + 2
  assert 'correlated along rows' in found.found['reasons'][0]


def test_colour():
  clean = make_picture(3)
  noisy = clean + make_noise(SIGMA, 3)
  found = denoise(KEY, noisy, sigma=SIGMA)
  assert_consistent(found, 3, 0)
  assert psnr(found.mean, clean) > psnr(noisy, clean) + 5


@pytest.mark.parametrize('sigma', [-1.0, 300.0, float('nan')])
def test_bad_noise_level(sigma):
  with pytest.raises(ValueError, match='`sigma` must be'):
    denoise(KEY, NOISY, sigma=sigma)
