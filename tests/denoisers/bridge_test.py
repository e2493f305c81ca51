"""Exact bridges: Gaussians, finite sets, and the fixed point of the pairing."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers import bridge
from internal_diffusion.diffusion.bridges import entropic_plan
from internal_diffusion.sampling import bridge_sigmas, transport

FIRST = ([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])
SECOND = ([-1.0, 2.0], [[0.3, -0.1], [-0.1, 0.8]])


def test_gaussian_to_gaussian():
  model = bridge.gaussian_schroedinger_bridge(FIRST, SECOND, sigma_max=1.0)
  num = 20_000
  factor = np.linalg.cholesky(SECOND[1])
  x1 = np.random.default_rng(0).normal(size=(num, 2)) @ factor.T + SECOND[0]
  x1 = jnp.asarray(x1, jnp.float32)
  sigmas = bridge_sigmas(100, sigma_max=1.0)
  x0 = transport(jax.random.key(0), model, x1, None, sigmas=sigmas)
  both = np.concatenate([x0, x1], axis=1)
  np.testing.assert_allclose(x0.mean(axis=0), FIRST[0], atol=0.05)
  # Not only the covariance of x0: that of the pairs is the entropic plan's.
  np.testing.assert_allclose(np.cov(both.T), model.covariance, atol=0.05)


def test_one_dimension_has_the_known_plan():
  # Between equal Gaussians of variance v: c = sqrt(v^2 + e^2/4) - e/2.
  model = bridge.gaussian_schroedinger_bridge(
    ([0.0], [[2.0]]), ([0.0], [[2.0]]), sigma_max=1.5
  )
  epsilon = 1.5**2
  expected = np.sqrt(4 + epsilon**2 / 4) - epsilon / 2
  np.testing.assert_allclose(model.covariance[0, 1], expected, rtol=1e-5)


def couple(model, num):
  """Frequencies of the pairs that a bridge makes of its own ends."""
  index = np.repeat(np.arange(len(model.second)), num)
  x0 = transport(
    jax.random.key(0),
    model,
    model.second[index],
    None,
    sigmas=bridge_sigmas(60, sigma_max=model.sigma_max),
  )
  apart = ((np.asarray(x0)[:, None] - model.first[None]) ** 2).sum(axis=-1)
  plan = np.zeros(model.log_plan.shape)
  np.add.at(plan, (apart.argmin(axis=1), index), 1 / len(index))
  return plan


def test_the_entropic_plan_is_kept_and_any_other_comes_closer_to_it():
  rng = np.random.default_rng(1)
  first, second = jnp.asarray(rng.normal(size=(2, 4, 2)), jnp.float32)
  exact = np.asarray(entropic_plan(first, second, epsilon=0.8**2))

  def distance(plan):
    return abs(plan - exact).sum() / 2

  kept = couple(bridge.PairsBridge(first, second, jnp.log(exact), 0.8), 2000)
  assert distance(kept) < 0.03
  plan = np.full((4, 4), 1 / 16)
  distances = [distance(plan)]
  for _ in range(6):
    model = bridge.PairsBridge(
      first, second, jnp.log(jnp.asarray(plan) + 1e-9), 0.8
    )
    plan = couple(model, 2000)
    distances.append(distance(plan))
  assert distances[0] > 0.15
  assert distances[1] < 0.8 * distances[0]
  assert distances[-1] < 0.05


def test_swapped_bridges_lead_to_the_other_end():
  first, second = jnp.array([[0.0], [1.0]]), jnp.array([[5.0]])
  model = bridge.PairsBridge(first, second, jnp.log(jnp.full((2, 1), 0.5)), 1.0)
  np.testing.assert_allclose(model(jnp.array([[5.0]]), 1.0), [[0.5]], atol=1e-5)
  np.testing.assert_allclose(
    model.swapped()(jnp.array([[0.3]]), 0.4), [[5.0]], atol=1e-5
  )
