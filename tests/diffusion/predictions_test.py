import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import predictions

# Signal and noise scales: variance preserving, unit scale, flow, for each
# sample.
ALPHA = jnp.array([0.8, 1.0, 0.3])
SIGMA = jnp.array([0.6, 0.5, 0.7])
PAIRS = {
  'eps': (predictions.x0_to_eps, predictions.eps_to_x0),
  'v': (predictions.x0_to_v, predictions.v_to_x0),
  'score': (predictions.x0_to_score, predictions.score_to_x0),
  'velocity': (predictions.x0_to_velocity, predictions.velocity_to_x0),
  'x0': (predictions.x0_to_x0, predictions.x0_to_x0),
}


@pytest.fixture
def sample():
  key_x0, key_eps = jax.random.split(jax.random.key(0))
  x0 = jax.random.normal(key_x0, (3, 5))
  eps = jax.random.normal(key_eps, (3, 5))
  return x0, eps, ALPHA[:, None] * x0 + SIGMA[:, None] * eps


@pytest.mark.parametrize('name', PAIRS)
def test_conversions_are_inverse(name, sample):
  x0, _, x = sample
  from_x0, to_x0 = PAIRS[name]
  there = from_x0(x0, x, ALPHA, SIGMA)
  np.testing.assert_allclose(to_x0(there, x, ALPHA, SIGMA), x0, atol=1e-5)


def test_of_the_true_x0_they_are_their_definitions(sample):
  x0, eps, x = sample
  alpha, sigma = ALPHA[:, None], SIGMA[:, None]
  expected = {
    'eps': eps,
    'v': alpha * eps - sigma * x0,
    'score': -eps / sigma,
    'velocity': eps - x0,
    'x0': x0,
  }
  for name, (from_x0, _) in PAIRS.items():
    np.testing.assert_allclose(
      from_x0(x0, x, ALPHA, SIGMA), expected[name], atol=1e-5
    )


def test_score_is_the_gradient_of_the_log_density():
  # Data N(0, s^2): x = alpha x0 + sigma eps is N(0, alpha^2 s^2 + sigma^2).
  s, alpha, sigma = 0.7, 0.8, 0.6
  variance = alpha**2 * s**2 + sigma**2
  x = jnp.array([[0.3], [-1.2]])
  posterior_mean = alpha * s**2 / variance * x
  score = predictions.x0_to_score(
    posterior_mean, x, jnp.float32(alpha), jnp.float32(sigma)
  )
  gradient = jax.vmap(jax.grad(lambda y: -(y[0] ** 2) / (2 * variance)))(x)
  np.testing.assert_allclose(score, gradient, rtol=1e-5)
