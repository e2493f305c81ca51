"""Principal components of patch vectors: the coordinates the network works in.

x = mean + components @ z. The components are orthonormal, so isotropic noise on
x is isotropic noise on z of the same sigma: a diffusion in z *is* the diffusion
in x. What the basis adds is a standard deviation for each coordinate, which is
what preconditioning wants to know (see `diffusion.preconditioning`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# GPUs and TPUs would by default round to 8 or 11 bits, which is more than the
# lowest noise levels.
_EXACT = jax.lax.Precision.HIGHEST
_CHUNK = 8192


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
  values = np.asarray(vectors)
  mean = values.mean(axis=0, dtype=np.float64)
  covariance = np.zeros((len(mean), len(mean)))
  for start in range(0, len(values), _CHUNK):
    centred = values[start : start + _CHUNK] - mean
    covariance += centred.T @ centred / len(values)
  variance, components = np.linalg.eigh(covariance)
  stddev = np.sqrt(np.maximum(variance, min_stddev**2))
  return PrincipalBasis(
    mean=jnp.asarray(mean, jnp.float32),
    components=jnp.asarray(components[:, ::-1], jnp.float32),
    stddev=jnp.asarray(stddev[::-1], jnp.float32),
  )


def fit_axis_basis(
  vectors: Array, *, min_stddev: float = 1e-3
) -> PrincipalBasis:
  """The same without rotation, for vectors whose axes have a meaning."""
  values = np.asarray(vectors, np.float64)
  return PrincipalBasis(
    mean=jnp.asarray(values.mean(axis=0), jnp.float32),
    components=jnp.eye(values.shape[1]),
    stddev=jnp.asarray(np.maximum(values.std(axis=0), min_stddev), jnp.float32),
  )


def join_bases(bases: Sequence[PrincipalBasis]) -> PrincipalBasis:
  """The basis of vectors that stand one behind the other; mixes none."""
  return PrincipalBasis(
    mean=jnp.concatenate([basis.mean for basis in bases]),
    components=jax.scipy.linalg.block_diag(*[b.components for b in bases]),
    stddev=jnp.concatenate([basis.stddev for basis in bases]),
  )


def to_principal(basis: PrincipalBasis, vectors: Array) -> Array:
  """Coordinates z [N, D] of vectors x [N, D]."""
  centred = vectors - basis.mean[None]
  return jnp.matmul(centred, basis.components, precision=_EXACT)


def from_principal(basis: PrincipalBasis, coordinates: Array) -> Array:
  """Vectors x [N, D] of coordinates z [N, D]."""
  rotated = jnp.matmul(coordinates, basis.components.T, precision=_EXACT)
  return basis.mean[None] + rotated
