import numpy as np
import pytest
from scipy import signal
from skimage import data as photographs

from internal_diffusion.data import estimate_noise, unwhiten, whiten
from internal_diffusion.data.noise_correlation import Correlation

GREY = 2 / 255  # A grey level of 255.


def photograph(name='camera', side=192):
  image = getattr(photographs, name)()[:side, :side]
  return (image / 127.5 - 1).reshape(*image.shape[:2], -1)


def noise(shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape)


def autoregression(shape, rho, seed=0):
  driven = noise(shape, seed)
  driven[:, 1:] *= np.sqrt(1 - rho**2)
  return signal.lfilter([1.0], [1.0, -rho], driven, axis=1)


@pytest.mark.parametrize('sigma', [5, 25])
@pytest.mark.parametrize('name', ['camera', 'rocket'])
def test_white_noise_within_five_percent(name, sigma):
  clean = photograph(name)
  found = estimate_noise(clean + sigma * GREY * noise(clean.shape))
  np.testing.assert_allclose(found.sigma, sigma * GREY, rtol=0.05)
  assert found.grey_levels == pytest.approx(sigma, rel=0.05)
  assert not found.is_signal_dependent
  assert found.correlation.axis is None


def test_pure_noise_is_unbiased():
  levels = [
    estimate_noise(noise((96, 96, 1), seed)).sigma[0] for seed in range(10)
  ]
  assert np.mean(levels) == pytest.approx(1, abs=0.02)
  assert np.std(levels) < 0.04


def test_scales_with_the_image():
  image = photograph() + 0.1 * noise((192, 192, 1))
  one, two = estimate_noise(image), estimate_noise(2 * image + 0.5)
  np.testing.assert_allclose(two.sigma, 2 * one.sigma, rtol=0.02)


def test_clean_photograph_has_little_noise():
  assert estimate_noise(photograph()).grey_levels < 1.5


def test_drawing_on_plain_ground_has_none():
  image = -np.ones((64, 64, 1))
  image[20:40, 20:40] = 1
  assert estimate_noise(image).grey_levels < 1e-3


def test_channels_are_separate():
  clean = photograph('rocket')
  levels = np.array([5, 10, 20]) * GREY
  found = estimate_noise(clean + levels * noise(clean.shape))
  np.testing.assert_allclose(found.sigma, levels, rtol=0.05)


def test_clipped_noise():
  clean = photograph()
  noisy = np.clip(clean + 25 * GREY * noise(clean.shape), -1, 1)
  assert estimate_noise(noisy).grey_levels == pytest.approx(25, rel=0.05)


@pytest.mark.parametrize(('slope', 'offset'), [(1, 9), (4, 25)])
def test_signal_dependent_noise(slope, offset):
  clean = photograph(side=256)
  gain, offset = slope * GREY, offset * GREY**2
  variance = gain * (clean + 1) + offset
  found = estimate_noise(clean + np.sqrt(variance) * noise(clean.shape))
  assert found.is_signal_dependent
  assert found.gain[0] == pytest.approx(gain, rel=0.15)
  assert found.sigma[0] == pytest.approx(np.sqrt(variance.mean()), rel=0.05)
  np.testing.assert_allclose(
    np.sqrt(found.variance(clean)), np.sqrt(variance), rtol=0.15
  )


@pytest.mark.parametrize('axis', [0, 1])
def test_correlated_noise(axis):
  clean = photograph(side=256)
  n = autoregression(clean.shape, 0.6)
  n = n if axis == 1 else n.swapaxes(0, 1)
  found = estimate_noise(clean + 15 * GREY * n)
  assert found.correlation.axis == axis
  assert found.correlation.rho == pytest.approx(0.6, abs=0.06)
  assert found.grey_levels == pytest.approx(15, rel=0.08)


@pytest.mark.parametrize('axis', [0, 1, None])
def test_unwhiten_is_the_inverse(axis):
  image = noise((12, 17, 3)).astype(np.float32)
  rho = 0.0 if axis is None else 0.8
  correlation = Correlation(np.zeros(4), np.zeros(4), axis, rho)
  back = unwhiten(whiten(image, correlation), correlation)
  np.testing.assert_allclose(back, image, atol=1e-5)


def test_whitened_noise_is_white_and_of_the_same_level():
  n = autoregression((200, 200, 1), 0.7)
  correlation = Correlation(np.zeros(4), np.zeros(4), 1, 0.7)
  white = whiten(n, correlation)[..., 0]
  assert white.std() == pytest.approx(1, rel=0.02)
  assert abs(np.mean(white[:, 1:] * white[:, :-1])) < 0.02


@pytest.mark.parametrize(
  ('image', 'message'),
  [
    (np.full((32, 32, 3), 0.25), 'more than one colour'),
    (np.zeros((32, 32)), r'\[H, W, C\]'),
    (np.zeros((8, 32, 1)), 'at least 16 x 16'),
    (np.full((32, 32, 1), np.nan), 'finite'),
  ],
)
def test_refuses(image, message):
  with pytest.raises(ValueError, match=f'`image` must .*{message}'):
    estimate_noise(image)
