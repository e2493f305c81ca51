"""Principal components of patch vectors: the coordinates the network works in.

x = mean + components @ z. The components are orthonormal, so isotropic noise on
x is isotropic noise on z of the same sigma: a diffusion in z *is* the diffusion
in x. What the basis adds is a standard deviation for each coordinate, which is
what preconditioning wants to know (see `diffusion.preconditioning`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class PrincipalBasis(NamedTuple):
  """An orthonormal basis with the data's spread along it.

  Attributes:
    mean: [D].
    components: [D, D], orthonormal columns, by decreasing variance.
    stddev: [D], standard deviation along each component.
  """

  mean: Array
  components: Array
  stddev: Array


def fit_principal_basis(
  vectors: Array, *, min_stddev: float = 1e-3
) -> PrincipalBasis:
  """Principal components of vectors [N, D].

  Args:
    vectors: [N, D].
    min_stddev: Lower bound on the standard deviations, so that a direction in
      which the data is constant does not ask the network for infinite
      precision; 1e-3 is an eighth of a grey level of an 8-bit image.

  Returns:
    The basis.
  """
  # On the host in float64: it happens once, and variances span many decades.
  values = np.asarray(vectors, np.float64)
  mean = values.mean(axis=0)
  centred = values - mean
  variance, components = np.linalg.eigh(centred.T @ centred / len(values))
  stddev = np.sqrt(np.maximum(variance, min_stddev**2))
  return PrincipalBasis(
    mean=jnp.asarray(mean, jnp.float32),
    components=jnp.asarray(components[:, ::-1], jnp.float32),
    stddev=jnp.asarray(stddev[::-1], jnp.float32),
  )


def to_principal(basis: PrincipalBasis, vectors: Array) -> Array:
  """Coordinates z [N, D] of vectors x [N, D]."""
  return (vectors - basis.mean[None]) @ basis.components


def from_principal(basis: PrincipalBasis, coordinates: Array) -> Array:
  """Vectors x [N, D] of coordinates z [N, D]."""
  return basis.mean[None] + coordinates @ basis.components.T
