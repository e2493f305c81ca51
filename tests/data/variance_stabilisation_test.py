import numpy as np
import pytest

from internal_diffusion.data import destabilise, stabilise

GREY = 2 / 255  # A grey level of 255.


def observe(gain, offset, num=20_000):
  clean = np.linspace(-0.9, 0.9, 7)[:, None, None] * np.ones((1, num, 1))
  std = np.sqrt(gain * (clean + 1) + offset)
  return clean, clean + std * np.random.default_rng(0).standard_normal(
    clean.shape
  )


@pytest.mark.parametrize(
  ('slope', 'offset'), [(1.0, 9.0), (4.0, 25.0), (0.0, 100.0)]
)
def test_noise_becomes_white_and_its_mean_comes_back(slope, offset):
  gain, offset = np.array([slope * GREY]), np.array([offset * GREY**2])
  clean, noisy = observe(gain, offset)
  stable, sigma = stabilise(noisy, gain=gain, offset=offset)
  np.testing.assert_allclose(stable.std(axis=1), sigma, rtol=0.08)
  mean = stable.mean(axis=1, keepdims=True)
  back = destabilise(mean, gain=gain, offset=offset)
  # Four standard errors of the mean.
  error = 4 * noisy.std(axis=1, keepdims=True) / np.sqrt(noisy.shape[1])
  assert np.all(np.abs(back - clean[:, :1]) < error + 0.1 * GREY)


def test_white_noise_of_one_channel_is_unchanged():
  image = np.random.default_rng(0).uniform(-1, 1, (5, 6, 1))
  stable, sigma = stabilise(image, gain=np.zeros(1), offset=np.array([0.04]))
  np.testing.assert_allclose(stable, image, atol=1e-12)
  assert sigma == pytest.approx(0.2)


def test_black_and_white_keep_their_places():
  ends = np.array([-1.0, 1.0]).reshape(1, 2, 1)
  stable, _ = stabilise(ends, gain=np.array([0.01]), offset=np.array([1e-3]))
  np.testing.assert_allclose(stable, ends, atol=1e-12)


def test_channels_get_equal_noise():
  gain, offset = np.array([0.0, 0.02, 0.0]), np.array([0.01, 0.001, 0.04])
  clean = np.zeros((100, 100, 3))
  std = np.sqrt(gain + offset)
  noisy = clean + std * np.random.default_rng(0).standard_normal(clean.shape)
  stable, sigma = stabilise(noisy, gain=gain, offset=offset)
  np.testing.assert_allclose(stable.std(axis=(0, 1)), sigma, rtol=0.03)


def test_below_a_pedestal_values_return():
  gain, offset = np.array([GREY]), np.array([-30 * GREY**2])
  image = np.linspace(-1, 1, 50).reshape(1, 50, 1)
  stable, _ = stabilise(image, gain=gain, offset=offset)
  back = destabilise(stable, gain=gain, offset=offset)
  np.testing.assert_allclose(back, image, atol=1.5 * GREY)


def test_refuses_bad_numbers():
  image = np.zeros((4, 4, 1))
  with pytest.raises(ValueError, match='`gain` must be at least 0'):
    stabilise(image, gain=np.array([-1.0]), offset=np.zeros(1))
  with pytest.raises(ValueError, match='`offset` must be a finite number'):
    destabilise(image, gain=np.zeros(1), offset=np.zeros(2))
