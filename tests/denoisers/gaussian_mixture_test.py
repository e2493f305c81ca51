import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)

DIM = 4


def make_gaussian(seed=0, variances=(1.0, 0.5, 0.1, 0.0)):
  rng = np.random.default_rng(seed)
  directions = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
  covariance = directions * np.asarray(variances) @ directions.T
  return rng.standard_normal(DIM), covariance


def make_mixture(*parts, weights=None):
  """The mixture of (mean, covariance) pairs."""
  weights = np.ones(len(parts)) if weights is None else np.asarray(weights)
  variances, directions = np.linalg.eigh(np.stack([p[1] for p in parts]))
  means = np.stack([p[0] for p in parts])
  values = (np.log(weights / weights.sum()), means, directions, variances)
  return GaussianMixtureDenoiser(*(jnp.float32(v) for v in values))


def samples(num, seed=1):
  return jax.random.normal(jax.random.key(seed), (num, DIM))


@pytest.mark.parametrize('sigma', [0.1, 1.0, 10.0])
def test_one_component_is_a_gaussian(sigma):
  mean, covariance = make_gaussian()
  mixture = make_mixture((mean, covariance))
  x = samples(5)
  wanted = GaussianDenoiser.create(mean, covariance)(x, jnp.float32(sigma))
  found = mixture(x, jnp.float32(sigma))
  np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_mean_obeys_tweedie():
  # Tweedie (Robbins 1956): E[x0 | x] = x + sigma^2 grad log p(x).
  mixture = make_mixture(make_gaussian(0), make_gaussian(1), weights=(1, 3))
  x, sigma = samples(6), jnp.float32(0.7)
  gradient = jax.grad(lambda x: jnp.sum(mixture.log_density(x, sigma)))(x)
  np.testing.assert_allclose(
    mixture(x, sigma), x + sigma**2 * gradient, rtol=1e-4, atol=1e-5
  )


def test_the_variance_is_the_derivative_of_the_mean():
  # Cov[x0 | x] = sigma^2 d E[x0 | x] / dx.
  mixture = make_mixture(make_gaussian(0), make_gaussian(1))
  x, sigma = samples(3), jnp.float32(0.6)
  jacobian = jax.vmap(jax.jacfwd(lambda x: mixture(x[None], sigma)[0]))(x)
  wanted = sigma**2 * jnp.diagonal(jacobian, axis1=1, axis2=2)
  found = mixture.posterior(x, sigma)
  np.testing.assert_allclose(found.variance, wanted, rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(found.mean, mixture(x, sigma), rtol=1e-4)


def test_each_vector_may_have_its_own_noise_level():
  mixture = make_mixture(make_gaussian(0), make_gaussian(1))
  x, sigma = samples(3000), jnp.linspace(0.1, 2, 3000)
  found = mixture(x, sigma)
  for index in (0, 1500, 2999):
    one = mixture(x[index][None], sigma[index])[0]
    np.testing.assert_allclose(found[index], one, rtol=1e-4, atol=1e-5)


def test_density_integrates_to_one():
  mixture = GaussianMixtureDenoiser(
    jnp.log(jnp.array([0.3, 0.7])),
    jnp.array([[-1.0], [2.0]]),
    jnp.ones((2, 1, 1)),
    jnp.array([[0.2], [0.0]]),
  )
  x = jnp.linspace(-10, 10, 4001)
  density = jnp.exp(mixture.log_density(x[:, None], jnp.float32(0.3)))
  assert abs(float(jnp.trapezoid(density, x)) - 1) < 1e-3


def test_samples_have_the_mixtures_mean_and_covariance():
  parts = [make_gaussian(0), make_gaussian(1)]
  mixture = make_mixture(*parts, weights=(1, 3))
  drawn = np.asarray(mixture.sample(jax.random.key(0), 40_000))
  weights = np.array([0.25, 0.75])
  mean = sum(w * p[0] for w, p in zip(weights, parts, strict=True))
  second = sum(
    w * (p[1] + np.outer(p[0], p[0]))
    for w, p in zip(weights, parts, strict=True)
  )
  np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03)
  covariance = np.cov(drawn.T)
  np.testing.assert_allclose(
    covariance, second - np.outer(mean, mean), atol=0.05
  )


def test_posterior_samples_have_the_posteriors_mean_and_variance():
  mixture = make_mixture(make_gaussian(0), make_gaussian(1))
  x = jnp.repeat(samples(1), 20_000, axis=0)
  sigma = jnp.float32(0.8)
  drawn = mixture.sample_posterior(jax.random.key(0), x, sigma)
  wanted = mixture.posterior(x[:1], sigma)
  np.testing.assert_allclose(drawn.mean(0), wanted.mean[0], atol=0.02)
  np.testing.assert_allclose(drawn.var(0), wanted.variance[0], atol=0.02)


def test_flat_components_without_noise_stay_finite():
  mean = np.zeros(DIM)
  mixture = make_mixture((mean, np.zeros((DIM, DIM))))
  found = mixture(samples(3), jnp.float32(0))
  np.testing.assert_allclose(found, np.zeros((3, DIM)), atol=1e-6)


def test_another_mixture_of_the_same_shape_compiles_nothing():
  denoise = jax.jit(lambda model, x: model(x, jnp.float32(0.5)))
  first, second = (
    make_mixture(make_gaussian(seed), make_gaussian(seed + 1))
    for seed in (0, 5)
  )
  x = samples(8)
  denoise(first, x).block_until_ready()
  with compilation.measure_compilation() as meter:
    denoise(second, x).block_until_ready()
  assert meter.count == 0
