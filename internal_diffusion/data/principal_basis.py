"""Principal components of patch vectors: the coordinates the network works in.

x = mean + components @ z. The components are orthonormal, so isotropic noise on
x is isotropic noise on z of the same sigma: a diffusion in z *is* the diffusion
in x. What the basis adds is a standard deviation for each coordinate, which is
what preconditioning wants to know (see `diffusion.preconditioning`); where the
data consists of groups of unlike contrast, one for each group.
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
    stddev: Root mean square along each component, of each group, [G, D].
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
  """Principal components of vectors [N, D].

  All groups, such as the levels of a pyramid, share the basis and count alike
  in it, whatever their number and contrast; each has its own deviations.

  Args:
    vectors: [N, D].
    groups: The group of each, [N], in [0, G); None is one for all.
    num_groups: G.
    min_stddev: Lower bound on the standard deviations, so that a direction in
      which the data is constant does not ask the network for infinite
      precision; 1e-3 is an eighth of a grey level of an 8-bit image.

  Returns:
    The basis. A group that has no vectors has the lower bound everywhere.
  """
  # On the host in float64: it happens once, and variances span many decades.
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
  """The same without rotation, for vectors whose axes have a meaning."""
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
  """Of vectors [N, D] around a centre [D], [D, D]."""
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
  """The deviations of groups [B], [B, D]; [1, D] if none are told."""
  if group is None or len(basis.stddev) == 1:
    return basis.stddev[:1]
  return basis.stddev[group]


def standard_basis(dim: int) -> PrincipalBasis:
  """The axes themselves, for vectors of mean 0 and unit variance."""
  return PrincipalBasis(jnp.zeros(dim), jnp.eye(dim), jnp.ones((1, dim)))


def join_bases(bases: Sequence[PrincipalBasis]) -> PrincipalBasis:
  """The basis of vectors that stand one behind the other; mixes none."""
  return PrincipalBasis(
    mean=jnp.concatenate([basis.mean for basis in bases]),
    components=jax.scipy.linalg.block_diag(*[b.components for b in bases]),
    stddev=jnp.concatenate([basis.stddev for basis in bases], axis=-1),
  )


def to_principal(basis: PrincipalBasis, vectors: Array) -> Array:
  """Coordinates z [N, D] of vectors x [N, D]."""
  centred = vectors - basis.mean[None]
  return jnp.matmul(centred, basis.components, precision=_EXACT)


def from_principal(basis: PrincipalBasis, coordinates: Array) -> Array:
  """Vectors x [N, D] of coordinates z [N, D]."""
  rotated = jnp.matmul(coordinates, basis.components.T, precision=_EXACT)
  return basis.mean[None] + rotated
