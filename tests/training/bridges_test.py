"""Learned bridges of a few points against their exact answers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion.bridges import entropic_plan
from internal_diffusion.options import replace
from internal_diffusion.sampling import bridge_sigmas, transport
from internal_diffusion.training.bridges import (
  fit_bridge,
  fit_schroedinger_bridge,
)
from internal_diffusion.training.options import DenoiserOptions

OPTIONS = replace(
  DenoiserOptions(),
  network={'width': 48, 'depth': 1, 'embedding_dim': 16},
  batch_size=256,
  num_references=0,
  num_steps=600,
  steps_per_call=100,
  num_devices=1,
)


def test_pairs_are_kept_and_one_step_is_the_regression():
  first = np.array([[-1.0], [1.0], [5.0]], np.float32)
  second = np.array([[0.0], [0.0], [6.0]], np.float32)
  model = fit_bridge(first, second, OPTIONS, sigma_max=1.0).model
  x1 = jnp.repeat(jnp.array([[0.0], [6.0]]), 200, axis=0)
  one, many = (
    np.asarray(
      transport(
        jax.random.key(0),
        model,
        x1,
        None,
        sigmas=bridge_sigmas(num, sigma_max=1.0),
      )
    )
    for num in (1, 40)
  )
  np.testing.assert_allclose(one[:200], 0.0, atol=0.15)
  np.testing.assert_allclose(many[200:].mean(), 5.0, atol=0.2)
  # The two ends of the condition 0 are both drawn, not their mean.
  assert (abs(many[:200]) > 0.6).mean() > 0.8
  assert 0.3 < (many[:200] > 0).mean() < 0.7


def test_unpaired_sets_find_the_entropic_plan():
  first = np.array([[-1.0, 0.0], [1.0, 0.0]], np.float32)
  second = np.array([[-1.0, 1.0], [1.0, 1.0]], np.float32)
  sigmas = bridge_sigmas(20, sigma_max=1.0)
  transport_fn = functools.partial(transport, sigmas=sigmas)
  model = fit_schroedinger_bridge(
    first,
    second,
    OPTIONS,
    sigma_max=1.0,
    transport_fn=transport_fn,
    num_rounds=6,
    num_pairs=512,
  ).model
  exact = entropic_plan(jnp.asarray(first), jnp.asarray(second), epsilon=1.0)
  # From either end, the share that changes its side.
  for level, ends in ((0, second), (1, first)):
    x = jnp.repeat(jnp.asarray(ends[:1]), 1000, axis=0)
    found = np.asarray(transport_fn(jax.random.key(1), model, x, level))
    share = (found[:, 0] > 0).mean()
    np.testing.assert_allclose(share, 2 * exact[0, 1], atol=0.1)
    np.testing.assert_allclose(found[:, 1].mean(), level, atol=0.15)


def test_shapes_that_do_not_fit_are_refused():
  two, three = np.zeros((2, 2), np.float32), np.zeros((3, 3), np.float32)
  with pytest.raises(ValueError, match='first'):
    fit_bridge(two, three, OPTIONS, sigma_max=1.0)
  with pytest.raises(ValueError, match='first'):
    fit_schroedinger_bridge(
      two, three, OPTIONS, sigma_max=1.0, transport_fn=lambda *args: args[2]
    )
  with pytest.raises(ValueError, match='sigma_max'):
    fit_bridge(two, two, OPTIONS, sigma_max=0.0)
