"""Bridges against the Brownian bridge, and plans against exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from internal_diffusion.diffusion import bridges


def test_states_have_the_moments_of_a_brownian_bridge():
  x0, x1 = jnp.full((20_000, 1), -1.0), jnp.full((20_000, 1), 3.0)
  for sigma in (0.5, 1.5, 2.0):
    found = bridges.bridge_state(
      jax.random.key(0), x0, x1, jnp.float32(sigma), sigma_max=2.0
    )
    # Of variance 4 over unit time, at time (sigma / 2)^2.
    time = (sigma / 2) ** 2
    np.testing.assert_allclose(found.mean(), -1 + 4 * time, atol=0.04)
    np.testing.assert_allclose(
      found.var(), 4 * time * (1 - time), rtol=0.03, atol=1e-6
    )


def test_the_loss_is_smallest_at_the_regression():
  # x0 is -1 or 1, x1 tells nothing, and at sigma_max the state is x1.
  key = jax.random.key(1)
  x0 = jnp.sign(jax.random.normal(key, (20_000, 1)))
  x1 = jax.random.normal(jax.random.key(2), x0.shape)
  sigma = jnp.full(len(x0), 1.5)

  def loss(value):
    return bridges.bridge_loss(
      key,
      lambda x, sigma, cond: jnp.full_like(x, value),
      x0,
      x1,
      None,
      sigma,
      sigma_max=1.5,
    ).mean()

  np.testing.assert_allclose(loss(0.0), 1 / 1.5**2, rtol=1e-4)
  assert loss(0.0) < min(loss(-0.3), loss(0.3))


def test_the_plan_has_its_marginals_and_tends_to_the_assignment():
  rng = np.random.default_rng(0)
  first, second = rng.normal(size=(2, 5, 2)).astype(np.float32)
  plan = bridges.entropic_plan(
    jnp.asarray(first), jnp.asarray(second), epsilon=0.5
  )
  np.testing.assert_allclose(plan.sum(axis=0), 0.2, atol=1e-4)
  np.testing.assert_allclose(plan.sum(axis=1), 0.2, atol=1e-4)
  # The optimality of the plan: log P + cost / epsilon is a sum of potentials.
  cost = ((first[:, None] - second[None]) ** 2).sum(axis=-1) / 2
  table = np.log(plan) + cost / 0.5
  mixed = table - table[:1] - table[:, :1] + table[:1, :1]
  np.testing.assert_allclose(mixed, 0, atol=1e-3)
  sharp = bridges.entropic_plan(
    jnp.asarray(first), jnp.asarray(second), epsilon=0.01, num_steps=3000
  )
  rows, columns = scipy.optimize.linear_sum_assignment(cost)
  np.testing.assert_allclose(sharp[rows, columns], 0.2, atol=0.03)
  with pytest.raises(ValueError, match='epsilon'):
    bridges.entropic_plan(jnp.eye(2), jnp.eye(2), epsilon=0.0)


@pytest.mark.parametrize(
  ('first', 'second', 'match'),
  [
    ((3, 2), (4, 1), 'one dimension, got 2 and 1'),
    ((3, 2), (0, 2), 'not empty'),
    ((3,), (4,), r'\[N, D\]'),
  ],
)
def test_sets_that_do_not_fit_have_no_plan(first, second, match):
  with pytest.raises(ValueError, match=match):
    bridges.entropic_plan(jnp.zeros(first), jnp.zeros(second), epsilon=1.0)
