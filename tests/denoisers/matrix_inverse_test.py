"""Inverses of many small symmetric matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.matrix_inverse import inverse_of_positive


@pytest.mark.parametrize('size', [1, 7, 17, 50])
def test_inverse_of_positive_matrices(size):
  factors = jax.random.normal(jax.random.key(size), (3, size, 2 * size))
  matrices = factors @ jnp.swapaxes(factors, 1, 2) + 0.1 * jnp.eye(size)[None]
  expected = np.linalg.inv(np.asarray(matrices, np.float64))
  np.testing.assert_allclose(
    inverse_of_positive(matrices), expected, atol=1e-4 * np.abs(expected).max()
  )
