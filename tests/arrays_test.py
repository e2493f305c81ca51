import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from internal_diffusion import arrays

LARGEST = jnp.nextafter(jnp.float32(1), jnp.float32(0))


def test_indices_are_uniform_and_reach_both_ends():
  uniform = jax.random.uniform(jax.random.key(2), (40_000,))
  counts = np.bincount(arrays.index_from_uniform(uniform, 13), minlength=13)
  assert len(counts) == 13
  assert scipy.stats.chisquare(counts).pvalue > 1e-3
  for num in (1, 17, 100_003):
    assert arrays.index_from_uniform(LARGEST, num) == num - 1


def test_categories_are_drawn_as_often_as_their_probabilities_say():
  probabilities = jnp.array([0.5, 0.0, 0.3, 0.2])
  uniform = jax.random.uniform(jax.random.key(3), (50_000,))
  index = arrays.categorical_from_uniform(uniform, probabilities)
  counts = np.bincount(index, minlength=4)
  assert counts[1] == 0
  expected = 50_000 * np.array([0.5, 0.3, 0.2])
  assert scipy.stats.chisquare(counts[[0, 2, 3]], expected).pvalue > 1e-3
  ends = jnp.array([0.0, 1.0])
  np.testing.assert_array_equal(
    arrays.categorical_from_uniform(ends, probabilities), [0, 3]
  )
