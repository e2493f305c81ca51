"""Linear algebra of symmetric 2x2 matrices, [..., 2, 2], by formulas."""

import jax
import jax.numpy as jnp

Array = jax.Array
_TINY = 1e-9


def inverse(matrix: Array) -> Array:
  """Inverses of symmetric matrices of positive determinant."""
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  entries = jnp.stack([yy, -xy, -xy, xx], axis=-1)
  return (entries / (xx * yy - xy**2)[..., None]).reshape(matrix.shape)


def nonnegative(matrix: Array) -> Array:
  """The nearest symmetric matrices without negative eigenvalues.

  With eigenvalues a > 0 > b, the nearest one is a (M - b I) / (a - b).
  """
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  middle = (xx + yy) / 2
  half = jnp.sqrt(jnp.square((xx - yy) / 2) + jnp.square(xy))
  high, low = middle + half, middle - half
  factor = jnp.maximum(high, 0) / jnp.maximum(2 * half, _TINY)
  identity = jnp.broadcast_to(jnp.eye(2), matrix.shape)
  part = factor[..., None, None] * (matrix - low[..., None, None] * identity)
  return jnp.where((low < 0)[..., None, None], part, matrix)


def lower_root(matrix: Array) -> Array:
  """Lower triangular L with L L^T = matrix, which may be singular."""
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  first = jnp.sqrt(jnp.maximum(xx, _TINY))
  skew = xy / first
  last = jnp.sqrt(jnp.maximum(yy - skew**2, 0))
  return lower_triangular(first, skew, last)


def lower_root_of_inverse(matrix: Array) -> Array:
  """Lower triangular L with L L^T = matrix^-1."""
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  first = jnp.sqrt(yy / (xx * yy - xy**2))
  return lower_triangular(first, -xy / yy * first, jax.lax.rsqrt(yy))


def lower_triangular(xx: Array, yx: Array, yy: Array) -> Array:
  """Lower triangular matrices of their entries, [...] each."""
  entries = jnp.stack([xx, jnp.zeros_like(xx), yx, yy], axis=-1)
  return entries.reshape(*xx.shape, 2, 2)


def solve_lower(root: Array, values: Array) -> Array:
  """Solutions z [..., 2] of root z = values, root lower triangular."""
  first = values[..., 0] / root[..., 0, 0]
  second = (values[..., 1] - root[..., 1, 0] * first) / root[..., 1, 1]
  return jnp.stack([first, second], axis=-1)


def times(matrix: Array, values: Array) -> Array:
  """Matrices times vectors [..., 2], [..., 2]."""
  x, y = values[..., 0], values[..., 1]
  rows = [matrix[..., i, 0] * x + matrix[..., i, 1] * y for i in range(2)]
  return jnp.stack(rows, axis=-1)
