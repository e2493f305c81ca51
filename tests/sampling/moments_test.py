"""Mean, covariance and density of distributions that are known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.sampling import likelihood, moments

MEAN = np.array([0.3, -0.8], np.float32)
COVARIANCE = np.array([[0.5, 0.2], [0.2, 0.3]], np.float32)


def gaussian_denoise_fn(x, sigma):
  """E[x0 | x] of N(MEAN, COVARIANCE)."""
  gain = COVARIANCE @ jnp.linalg.inv(
    COVARIANCE + jnp.asarray(sigma) ** 2 * jnp.eye(2)
  )
  return MEAN[None] + (x - MEAN[None]) @ gain.T


def two_points_denoise_fn(x, sigma):
  """E[x0 | x] of (1, 0) and (-1, 0) with equal shares, N(., 0.1^2) each."""
  cell = 0.1**2
  noise = jnp.asarray(sigma) ** 2
  points = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
  log_weight = (
    -jnp.sum((x[:, None] - points[None]) ** 2, -1) / 2 / (noise + cell)
  )
  found = jax.nn.softmax(log_weight, axis=-1) @ points
  return (noise * found + cell * x) / (noise + cell)


def test_moments_of_a_gaussian():
  mean, covariance = moments.mean_and_covariance(
    gaussian_denoise_fn, num=3, dim=2, sigma_max=50.0
  )
  assert mean.shape == (3, 2)
  assert covariance.shape == (3, 2, 2)
  np.testing.assert_allclose(mean[1], MEAN, atol=1e-3)
  np.testing.assert_allclose(covariance[1], COVARIANCE, atol=1e-3)


@pytest.mark.parametrize('transform', [lambda fn: fn, jax.jit])
def test_moments_of_two_points(transform):
  # Compiled too: a batch of derivatives was wrong then.
  mean, covariance = transform(
    lambda: moments.mean_and_covariance(
      two_points_denoise_fn, num=1, dim=2, sigma_max=50.0
    )
  )()
  np.testing.assert_allclose(mean[0], [0, 0], atol=1e-4)
  np.testing.assert_allclose(covariance[0], np.diag([1.01, 0.01]), atol=2e-3)


def test_density_of_a_gaussian():
  x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
  sigmas = np.geomspace(0.01, 50, 800)
  found = likelihood.log_density(gaussian_denoise_fn, jnp.asarray(x), sigmas)
  smoothed = COVARIANCE + 0.01**2 * np.eye(2)
  exact = scipy.stats.multivariate_normal(MEAN, smoothed).logpdf(x)
  np.testing.assert_allclose(found, exact, atol=0.02)


def test_density_of_two_points_adds_up_to_one():
  axis = np.linspace(-2.5, 2.5, 81, dtype=np.float32)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
  found = likelihood.log_density(
    two_points_denoise_fn, jnp.asarray(grid), np.geomspace(0.05, 50, 160)
  )
  total = np.exp(found).sum() * (axis[1] - axis[0]) ** 2
  np.testing.assert_allclose(total, 1.0, atol=0.03)


def test_the_error_of_the_density_is_of_second_order():
  x = jnp.array([[0.5, -0.2], [1.5, 1.0]])
  fine = likelihood.log_density(
    gaussian_denoise_fn, x, np.geomspace(0.1, 20, 1601)
  )
  errors = [
    np.abs(
      likelihood.log_density(
        gaussian_denoise_fn, x, np.geomspace(0.1, 20, num + 1)
      )
      - fine
    ).max()
    for num in (25, 50, 100)
  ]
  orders = np.log2(np.array(errors[:-1]) / errors[1:])
  assert (orders > 1.6).all(), orders


@pytest.mark.parametrize('sigmas', [[1.0], [0.0, 1.0], [2.0, 1.0]])
def test_a_bad_grid_is_named(sigmas):
  with pytest.raises(ValueError, match='sigmas'):
    likelihood.log_density(
      gaussian_denoise_fn, jnp.zeros((1, 2)), np.array(sigmas)
    )
