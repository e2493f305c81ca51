"""Slopes of planes, of two planes side by side, and of nothing."""

import jax.numpy as jnp
import numpy as np

from internal_diffusion.sampling.local_slopes import local_slopes

SIZE = (20, 30)
SLOPE = (0.2, -0.3)


def test_a_plane_has_its_slope_everywhere():
  differences = jnp.broadcast_to(jnp.array(SLOPE), (*SIZE, 2))
  found = local_slopes(differences, jnp.ones(SIZE), scale=4.0, contrast=0.1)
  np.testing.assert_allclose(found, differences, atol=1e-6)


def test_the_step_between_two_planes_does_not_count():
  differences = np.broadcast_to(np.float32(SLOPE), (*SIZE, 2)).copy()
  differences[:, 15] = 5.0
  found = local_slopes(
    jnp.asarray(differences), jnp.ones(SIZE), scale=4.0, contrast=0.1
  )
  assert np.abs(np.asarray(found) - np.array(SLOPE)).max() < 0.02


def test_what_has_no_weight_does_not_count():
  differences = jnp.broadcast_to(jnp.array(SLOPE), (*SIZE, 2))
  differences = differences.at[5:9].set(1.0)
  weights = jnp.ones(SIZE).at[5:9].set(0)
  found = local_slopes(differences, weights, scale=4.0, contrast=0.1)
  expected = np.broadcast_to(SLOPE, (*SIZE, 2))
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_where_nothing_counts_nothing_slants():
  found = local_slopes(
    jnp.ones((*SIZE, 2)), jnp.zeros(SIZE), scale=4.0, contrast=0.1
  )
  np.testing.assert_array_equal(found, 0)
