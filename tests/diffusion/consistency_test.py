"""Consistency functions of a Gaussian, whose flow is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import consistency
from internal_diffusion.sampling import samplers

MEAN, COVARIANCE = [0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]]
GAUSSIAN = GaussianDenoiser.create(MEAN, COVARIANCE)
X = jax.random.normal(jax.random.key(0), (6, 2))


def test_boundary_and_one_euler_step():
  function = consistency.consistency_fn(GAUSSIAN, sigma_min=0.1)
  np.testing.assert_allclose(function(X, jnp.full(6, 0.1)), X, atol=1e-6)
  states = samplers.sample_euler(
    jax.random.key(0),
    GAUSSIAN,
    X,
    jnp.array([2.0, 0.1, 0.0]),
    return_trajectory=True,
  )
  np.testing.assert_allclose(
    function(X, jnp.float32(2.0)), states[1], atol=1e-5
  )
  model = consistency.ConsistencyModel(GAUSSIAN, 0.1)
  np.testing.assert_allclose(model(X, 2.0), states[1], atol=1e-5)


@pytest.mark.parametrize('sigmas', [[40.0, 0.0], [40.0, 1.5, 0.0]])
def test_the_exact_function_samples_the_gaussian(sigmas):
  num = 20_000
  sigmas = jnp.array(sigmas)
  x = sigmas[0] * jax.random.normal(jax.random.key(1), (num, 2))
  found = samplers.sample_consistency(
    jax.random.key(2), lambda x, s: GAUSSIAN.flow(x, s), x, sigmas
  )
  np.testing.assert_allclose(found.mean(axis=0), MEAN, atol=0.04)
  np.testing.assert_allclose(np.cov(found.T), COVARIANCE, atol=0.04)


def distance(function, estimate_fn, step):
  x0 = jnp.tile(X, (300, 1))
  sigma = jnp.full(len(x0), 1.0)
  found = consistency.consistency_loss(
    jax.random.key(3), function, estimate_fn, x0, sigma, sigma - step
  )
  return float(found.mean()) * step


def test_distillation_of_the_exact_flow_has_no_loss():
  flow = GAUSSIAN.flow
  errors = [distance(flow, GAUSSIAN, step) for step in (0.4, 0.2)]
  # Heun's error of one step is of third order; small ones are squared.
  assert np.log2(errors[0] / errors[1]) > 2.5
  other = consistency.consistency_fn(GAUSSIAN, sigma_min=0.01)
  assert distance(other, GAUSSIAN, 0.2) > 5 * errors[1]


def test_without_a_teacher_both_points_have_the_same_noise():
  seen = []

  def function(x, sigma):
    seen.append((x, sigma))
    return x

  sigma, sigma_next = jnp.full(6, 2.0), jnp.full(6, 0.5)
  consistency.consistency_loss(
    jax.random.key(0), function, None, X, sigma, sigma_next
  )
  (x_next, _), (x, _) = seen
  np.testing.assert_allclose((x_next - X) / 0.5, (x - X) / 2.0, atol=1e-5)


def test_level_pairs_are_neighbours_of_a_grid_that_doubles():
  levels = consistency.LevelPairs(0.01, 10.0, first=2, num_doublings=1)
  uniform = (jnp.arange(8) + 0.5) / 8
  for progress, num in ((0.0, 2), (0.99, 4), (1.0, 4)):
    sigma, sigma_next = levels(uniform, jnp.float32(progress))
    assert len(np.unique(sigma)) == num
    np.testing.assert_allclose(np.max(sigma), 10.0, rtol=1e-5)
    np.testing.assert_allclose(np.min(sigma_next), 0.01, rtol=1e-4)
    np.testing.assert_allclose(
      np.unique(sigma)[:-1], np.unique(sigma_next)[1:], rtol=1e-5
    )
  with pytest.raises(ValueError, match='sigma_min'):
    consistency.LevelPairs(1.0, 0.5)
