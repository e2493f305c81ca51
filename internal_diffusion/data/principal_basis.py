"""Principal components of patch vectors, the coordinates of the networks.

x = mean + components @ z. The components are orthonormal, so isotropic noise on
x is isotropic noise of the same sigma on z, and a diffusion in z is the
diffusion in x. In addition the basis has a standard deviation for each
component, which `diffusion.preconditioning` uses; data in groups of different
contrast has one for each group.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# By default GPUs and TPUs round products to 8 or 11 bits, an error above the
# lowest noise levels.
_EXACT = jax.lax.Precision.HIGHEST
_CHUNK = 8192


class PrincipalBasis(NamedTuple):
  """An orthonormal basis with the data's standard deviations.

  Attributes:
    mean: Mean vector, [D].
    components: Orthonormal columns by decreasing variance, [D, D].
    stddev: Root mean square of each group along each component, [G, D].
  """

  mean: Array
  components: Array
  stddev: Array


def fit_principal_basis(
  vectors: Array,
  *,
  groups: Array | None = None,
  num_groups: int = 1,
  min_stddev: float = 1e-3,
) -> PrincipalBasis:
  """Fits principal components to vectors [N, D].

  All groups, such as the levels of a pyramid, share one basis and have equal
  weight in it, whatever their size and contrast. Each group has its own
  standard deviations.

  Args:
    vectors: Vectors, [N, D].
    groups: Group of each vector, [N], in [0, G); None is one group.
    num_groups: Number of groups G.
    min_stddev: Lower bound on the standard deviations, for components in which
      the data is constant; 1e-3 is an eighth of a grey level of an 8-bit image.

  Returns:
    The basis. A group without vectors has the lower bound everywhere.

  Example:
    >>> basis = fit_principal_basis(jnp.array([[1.0, 1.0], [3.0, 3.0]]))
    >>> z = to_principal(basis, jnp.array([[3.0, 3.0]]))
    >>> [round(abs(float(value)), 3) for value in z[0]]
    [1.414, 0.0]
  """
  # In float64 on the host, because variances span many decades.
  values = np.asarray(vectors)
  mean = values.mean(axis=0, dtype=np.float64)
  second_moments = [
    _second_moment(members, mean)
    for members in _split(values, groups, num_groups)
  ]
  total = sum(m / max(np.trace(m), min_stddev**2) for m in second_moments)
  _, components = np.linalg.eigh(total)
  components = components[:, ::-1]
  variance = [
    np.sum(components * (moment @ components), axis=0)
    for moment in second_moments
  ]
  return _make_basis(mean, components, np.stack(variance), min_stddev)


def fit_axis_basis(
  vectors: Array,
  *,
  groups: Array | None = None,
  num_groups: int = 1,
  min_stddev: float = 1e-3,
) -> PrincipalBasis:
  """Fits a basis without rotation, for vectors whose axes have a meaning."""
  values = np.asarray(vectors, np.float64)
  mean = values.mean(axis=0)
  variance = [
    np.mean((members - mean) ** 2, axis=0) if len(members) else 0 * mean
    for members in _split(values, groups, num_groups)
  ]
  return _make_basis(mean, np.eye(len(mean)), np.stack(variance), min_stddev)


def _split(
  values: np.ndarray, groups: Array | None, num_groups: int
) -> list[np.ndarray]:
  if groups is None:
    return [values] * num_groups
  return [values[np.asarray(groups) == group] for group in range(num_groups)]


def _second_moment(values: np.ndarray, centre: np.ndarray) -> np.ndarray:
  """Second moment [D, D] of vectors [N, D] around a centre [D]."""
  total = np.zeros((len(centre), len(centre)))
  for start in range(0, len(values), _CHUNK):
    centred = values[start : start + _CHUNK] - centre
    total += centred.T @ centred / len(values)
  return total


def _make_basis(
  mean: np.ndarray,
  components: np.ndarray,
  variance: np.ndarray,
  min_stddev: float,
) -> PrincipalBasis:
  stddev = np.sqrt(np.maximum(variance, min_stddev**2))
  return PrincipalBasis(
    *(jnp.asarray(field, jnp.float32) for field in (mean, components, stddev))
  )


def group_stddev(basis: PrincipalBasis, group: Array | None) -> Array:
  """Standard deviations [B, D] of groups [B]; [1, D] if `group` is None."""
  if group is None or len(basis.stddev) == 1:
    return basis.stddev[:1]
  return basis.stddev[group]


def standard_basis(dim: int) -> PrincipalBasis:
  """Identity basis, for vectors of mean 0 and unit variance."""
  return PrincipalBasis(jnp.zeros(dim), jnp.eye(dim), jnp.ones((1, dim)))


def join_bases(bases: Sequence[PrincipalBasis]) -> PrincipalBasis:
  """Block-diagonal basis of concatenated vectors."""
  return PrincipalBasis(
    mean=jnp.concatenate([basis.mean for basis in bases]),
    components=jax.scipy.linalg.block_diag(*[b.components for b in bases]),
    stddev=jnp.concatenate([basis.stddev for basis in bases], axis=-1),
  )


def to_principal(basis: PrincipalBasis, vectors: Array) -> Array:
  """Converts vectors x [N, D] to coordinates z [N, D]."""
  centred = vectors - basis.mean[None]
  return jnp.matmul(centred, basis.components, precision=_EXACT)


def from_principal(basis: PrincipalBasis, coordinates: Array) -> Array:
  """Converts coordinates z [N, D] to vectors x [N, D]."""
  rotated = jnp.matmul(coordinates, basis.components.T, precision=_EXACT)
  return basis.mean[None] + rotated
