import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers import closed_form


def brute_force(x, sigma, references, allowed):
  x, references = np.float64(x), np.float64(references)
  distance = ((x[:, None] - references[None]) ** 2).sum(-1)
  log_weight = -distance / (2 * np.float64(sigma)[:, None] ** 2)
  log_weight[~allowed] = -np.inf
  log_weight -= log_weight.max(axis=1, keepdims=True)
  weight = np.exp(log_weight)
  return weight @ references / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('sigma', [0.05, 0.5, 5.0])
def test_agrees_with_float64_brute_force(sigma):
  keys = jax.random.split(jax.random.key(0), 3)
  references = jax.random.normal(keys[0], (40, 6))
  x = references[:8] + sigma * jax.random.normal(keys[1], (8, 6))
  allowed = jax.random.bernoulli(keys[2], 0.5, (8, 40)).at[:, 0].set(True)
  levels = jnp.full(8, sigma)
  found = closed_form.posterior_mean(x, levels, references, allowed=allowed)
  expected = brute_force(x, levels, references, np.asarray(allowed))
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_limits_are_the_nearest_and_the_mean():
  references = jnp.array([[0.0], [1.0], [4.0]])
  x = jnp.array([[0.9], [3.0]])
  near = closed_form.posterior_mean(x, jnp.full(2, 1e-2), references)
  far = closed_form.posterior_mean(x, jnp.full(2, 1e4), references)
  np.testing.assert_allclose(near[:, 0], [1, 4], atol=1e-6)
  np.testing.assert_allclose(far[:, 0], 5 / 3, rtol=1e-3)
