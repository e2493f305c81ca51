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
  np.testing.assert_allclose(basis.stddev, [[3, 1, 0.2, 1e-3]], rtol=0.02)
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


def test_groups_share_a_basis_and_have_deviations_of_their_own(vectors):
  # The second group is a tenth as strong, and three times as many.
  mean = jnp.mean(vectors, axis=0)[None]
  weak = jnp.tile(mean + (vectors - mean) / 10, (3, 1))
  groups = jnp.repeat(jnp.arange(2), jnp.array([len(vectors), len(weak)]))
  basis = principal_basis.fit_principal_basis(
    jnp.concatenate([vectors, weak]), groups=groups, num_groups=2
  )
  alone = principal_basis.fit_principal_basis(vectors)
  np.testing.assert_allclose(
    abs(basis.components.T @ alone.components), np.eye(4), atol=1e-3
  )
  np.testing.assert_allclose(basis.stddev[0], alone.stddev[0], rtol=1e-2)
  np.testing.assert_allclose(
    basis.stddev[1, :3], alone.stddev[0, :3] / 10, rtol=1e-2
  )
  picked = principal_basis.group_stddev(basis, jnp.array([1, 0, 1]))
  np.testing.assert_array_equal(picked, basis.stddev[jnp.array([1, 0, 1])])
  assert principal_basis.group_stddev(basis, None).shape == (1, 4)


def test_axes_keep_their_meaning_in_groups():
  points = jnp.array([[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-2.0, 0.0]])
  basis = principal_basis.fit_axis_basis(
    points, groups=jnp.array([0, 0, 1, 1]), num_groups=3, min_stddev=0.5
  )
  np.testing.assert_array_equal(basis.components, np.eye(2))
  # The last group has no points: the bound is all that is known of it.
  np.testing.assert_allclose(basis.stddev, [[0.5, 1], [2, 0.5], [0.5, 0.5]])
