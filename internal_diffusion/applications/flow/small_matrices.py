"""Linear algebra of symmetric 2x2 matrices, [..., 2, 2], by formulas."""

import jax
import jax.numpy as jnp

Array = jax.Array
_TINY = 1e-9


def symmetric(xx: Array, xy: Array, yy: Array) -> Array:
  """Symmetric matrices of their entries, [...] each."""
  return jnp.stack([xx, xy, xy, yy], axis=-1).reshape(*xx.shape, 2, 2)


def lower_triangular(xx: Array, yx: Array, yy: Array) -> Array:
  """Lower triangular matrices of their entries, [...] each."""
  zero = jnp.zeros_like(xx)
  return jnp.stack([xx, zero, yx, yy], axis=-1).reshape(*xx.shape, 2, 2)


def inverse(matrix: Array) -> Array:
  """Inverses of symmetric matrices of positive determinant."""
  xx, xy, yy = _entries(matrix)
  adjugate = symmetric(yy, -xy, xx)
  return adjugate / (xx * yy - xy**2)[..., None, None]


def nonnegative(matrix: Array) -> Array:
  """The nearest symmetric matrices without negative eigenvalues.

  With eigenvalues a > 0 > b, the nearest one is a (M - b I) / (a - b).
  """
  xx, xy, yy = _entries(matrix)
  middle = (xx + yy) / 2
  half = jnp.sqrt(jnp.square((xx - yy) / 2) + jnp.square(xy))
  high, low = middle + half, middle - half
  factor = jnp.maximum(high, 0) / jnp.maximum(2 * half, _TINY)
  part = factor[..., None, None] * symmetric(xx - low, xy, yy - low)
  return jnp.where((low < 0)[..., None, None], part, matrix)


def lower_root(matrix: Array) -> Array:
  """Lower triangular L with L L^T = matrix, which may be singular."""
  xx, xy, yy = _entries(matrix)
  first = jnp.sqrt(jnp.maximum(xx, _TINY))
  skew = xy / first
  return lower_triangular(first, skew, jnp.sqrt(jnp.maximum(yy - skew**2, 0)))


def lower_root_of_inverse(matrix: Array) -> Array:
  """Lower triangular L with L L^T = matrix^-1."""
  xx, xy, yy = _entries(matrix)
  first = jnp.sqrt(yy / (xx * yy - xy**2))
  return lower_triangular(first, -xy / yy * first, jax.lax.rsqrt(yy))


def solve_lower(root: Array, values: Array) -> Array:
  """Solutions z [..., 2] of root z = values, root lower triangular."""
  first = values[..., 0] / root[..., 0, 0]
  second = (values[..., 1] - root[..., 1, 0] * first) / root[..., 1, 1]
  return jnp.stack([first, second], axis=-1)


def times(matrix: Array, values: Array) -> Array:
  """Matrices times vectors [..., 2], [..., 2]."""
  return jnp.sum(matrix * values[..., None, :], axis=-1)


def _entries(matrix: Array) -> tuple[Array, Array, Array]:
  return matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
