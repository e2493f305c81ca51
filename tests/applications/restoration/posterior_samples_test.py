import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import compilation
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
from internal_diffusion.data.pointwise import make_masking
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.sampling.constraints import LinearObservation

KEY = jax.random.key(0)
SHAPE = (24, 30, 1)
STD = 0.5  # Of the prior: independent pixels.
SEEN = np.random.default_rng(0).uniform(size=SHAPE[:2]) < 0.5
IMAGE = jnp.asarray(
  0.3 * np.random.default_rng(1).standard_normal(SHAPE), jnp.float32
)

PIXEL = GaussianDenoiser.create([0.0], [[STD**2]])


def denoise(pixel, x, sigma):
  """Independent normal pixels, as a denoiser of images."""
  return pixel(x.reshape(-1, 1), sigma).reshape(x.shape)


PRIOR = jax.tree_util.Partial(denoise, PIXEL)


def draw(image=IMAGE, num=2, sigma=0.4, is_noisy=True, **options):
  return draw_samples(
    KEY, PRIOR, image, num=num, sigma=sigma, is_noisy=is_noisy, **options
  )


def test_samples_have_the_mean_and_the_variance_of_the_posterior():
  sigma = 0.4
  found = draw(num=100, sigma=sigma)
  gain = STD**2 / (STD**2 + sigma**2)
  assert abs(np.mean(found.mean(axis=0) - gain * IMAGE)) < 0.01
  np.testing.assert_allclose(found.mean(axis=0), gain * IMAGE, atol=0.15)
  ratio = np.mean(found.var(axis=0)) / (gain * sigma**2)
  assert 0.9 < ratio < 1.2


def test_constraints_hold_in_every_sample():
  operator = make_masking(SEEN)
  constraint = LinearObservation(operator, operator.apply(IMAGE))
  found = draw(num=3, is_noisy=False, constraints=(constraint,))
  for sample in found:
    np.testing.assert_array_equal(sample[SEEN], IMAGE[SEEN])
  assert (found.std(axis=0)[~SEEN] > 0.01).mean() > 0.9


def test_a_clean_picture_gets_noise_first():
  clean, noisy = draw(num=1, is_noisy=False), draw(num=1)
  assert np.abs(clean - noisy).max() > 0.1


def test_each_sample_has_a_key_of_its_own():
  three, one = draw(num=3), draw(num=1)
  np.testing.assert_array_equal(three[:1], one)
  assert np.abs(three[0] - three[1]).max() > 0.1


def test_no_samples():
  assert draw(num=0).shape == (0, *SHAPE)


def test_another_noise_level_compiles_nothing():
  draw(num=1)
  other = jnp.asarray(IMAGE[::-1])
  with compilation.measure_compilation() as meter:
    draw(other, num=3, sigma=0.2)
  assert meter.count == 0
