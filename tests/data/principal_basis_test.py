import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import principal_basis


@pytest.fixture
def vectors():
  # Independent coordinates of known spread, rotated and shifted.
  key, rotation_key = jax.random.split(jax.random.key(0))
  rotation = jnp.linalg.qr(jax.random.normal(rotation_key, (4, 4)))[0]
  spread = jnp.array([3.0, 1.0, 0.2, 0.0])
  z = spread[None] * jax.random.normal(key, (50_000, 4))
  return z @ rotation.T + jnp.array([[1.0, -2.0, 0.5, 0.0]])


def test_finds_the_spread(vectors):
  basis = principal_basis.fit_principal_basis(vectors, min_stddev=1e-3)
  np.testing.assert_allclose(basis.stddev, [3, 1, 0.2, 1e-3], rtol=0.02)
  np.testing.assert_allclose(basis.mean, [1, -2, 0.5, 0], atol=0.05)


def test_coordinates_are_an_isometry(vectors):
  basis = principal_basis.fit_principal_basis(vectors)
  gram = basis.components.T @ basis.components
  np.testing.assert_allclose(gram, np.eye(4), atol=1e-5)
  z = principal_basis.to_principal(basis, vectors[:100])
  back = principal_basis.from_principal(basis, z)
  np.testing.assert_allclose(back, vectors[:100], atol=1e-5)
  covariance = np.cov(
    np.asarray(principal_basis.to_principal(basis, vectors)).T
  )
  off_diagonal = covariance - np.diag(np.diag(covariance))
  assert abs(off_diagonal).max() < 1e-3
