import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.denoisers.gaussian import GaussianDenoiser

MEAN = np.array([1.0, -2.0])
COVARIANCE = np.array([[2.0, 0.7], [0.7, 1.0]])
MODEL = GaussianDenoiser.create(MEAN, COVARIANCE)


def test_denoiser_is_the_posterior_mean_by_regression():
  # The best linear predictor of x0 from x, estimated from draws.
  x0_key, key = jax.random.split(jax.random.key(0))
  x0 = jax.random.multivariate_normal(x0_key, MEAN, COVARIANCE, (100_000,))
  x = np.asarray(x0 + 0.8 * jax.random.normal(key, x0.shape))
  design = np.c_[np.ones(len(x)), x]
  weights = np.linalg.lstsq(design, np.asarray(x0), rcond=None)[0]
  found = MODEL(jnp.asarray(x[:50]), jnp.float32(0.8))
  np.testing.assert_allclose(found, design[:50] @ weights, atol=0.03)


def test_flow_solves_its_equation():
  # d/dsigma of flow(x(sigma), sigma) is 0 along dx/dsigma = (x - D) / sigma.
  x, sigma = jnp.array([[0.3, 1.5]]), jnp.float32(1.3)
  slope = (x - MODEL(x, sigma)) / sigma
  _, change = jax.jvp(MODEL.flow, (x, sigma), (slope, jnp.ones(())))
  np.testing.assert_allclose(change, 0, atol=1e-5)


def test_each_sample_may_have_a_noise_level():
  x = jax.random.normal(jax.random.key(1), (3, 2))
  sigma = jnp.array([0.1, 1.0, 5.0])
  each = [MODEL(x[i : i + 1], sigma[i])[0] for i in range(3)]
  np.testing.assert_allclose(MODEL(x, sigma), each, rtol=1e-5)


def test_two_models_compile_once():
  denoise = jax.jit(lambda model, x, sigma: model(x, sigma))
  other = GaussianDenoiser.create([0.0, 0.0], np.eye(2))
  x = jnp.ones((3, 2))
  denoise(MODEL, x, 1.0)
  with measure_compilation() as meter:
    found = denoise(other, x, 1.0)
  assert meter.count == 0
  np.testing.assert_allclose(found, 0.5, rtol=1e-6)
