"""The patches of a picture that are most similar to others and near them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# Number M of similar patches, and their largest distance, in pixels.
_NUM_SIMILAR, _RADIUS = 50, 10
_ROWS = 8  # Rows of patches that are searched at a time.
_CHUNK = 256  # Patches at a time.


@functools.partial(jax.jit, static_argnames=('patch_size', 'stride'))
def find_similar(guide: Array, *, patch_size: int, stride: int) -> Array:
  """Top left pixels of the patches nearest to each patch of a grid.

  Args:
    guide: Picture, [H, W, C].
    patch_size: Side of a patch.
    stride: Largest distance of patches of the grid, in pixels.

  Returns:
    Indices into the H W pixels, [N, M], the patch itself first; M is smaller in
    a picture of few patches.
  """
  height, width, _ = guide.shape
  rows, columns = (grid(side - patch_size, stride) for side in (height, width))
  inside = np.arange(patch_size)
  reach = np.arange(-_RADIUS, _RADIUS + 1)
  moves = np.stack(np.meshgrid(reach, reach, indexing='ij'), -1).reshape(-1, 2)
  edge = ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0))
  around = jnp.pad(guide, edge)
  column = columns[:, None] + moves[:, 1]
  is_column = (column >= 0) & (column <= width - patch_size)
  num = min(_NUM_SIMILAR, (height - patch_size + 1) * (width - patch_size + 1))

  def of_row(row: Array) -> Array:
    own = jax.lax.dynamic_slice_in_dim(guide, row, patch_size)

    def of_move(move: Array) -> Array:
      start = row + move[0] + _RADIUS, move[1] + _RADIUS, 0
      other = jax.lax.dynamic_slice(around, start, own.shape)
      by_column = jnp.sum((own - other) ** 2, axis=(0, 2))
      return jnp.sum(by_column[columns[:, None] + inside], axis=1)

    distance = jax.vmap(of_move)(jnp.asarray(moves)).T
    moved = row + moves[:, 0]
    is_row = (moved >= 0) & (moved <= height - patch_size)
    distance = jnp.where(is_column & is_row[None], distance, jnp.inf)
    itself = len(moves) // 2
    distance = distance.at[:, itself].set(-1)
    nearest = jax.lax.top_k(-distance, num)[1]
    top = row + jnp.asarray(moves)[nearest, 0]
    left = columns[:, None] + jnp.asarray(moves)[nearest, 1]
    return jnp.clip(top, 0, height - patch_size) * width + jnp.clip(
      left, 0, width - patch_size
    )

  found = jax.lax.map(of_row, jnp.asarray(rows), batch_size=_ROWS)
  return found.reshape(-1, num)


@functools.partial(jax.jit, static_argnames='patch_size')
def find_similar_to(guide: Array, corners: Array, *, patch_size: int) -> Array:
  """Top left pixels of the patches nearest to some patches.

  `find_similar` shares sums between neighbouring patches, so it takes less time
  for each of many.

  Args:
    guide: Picture, [H, W, C].
    corners: Top left pixels of the patches, as indices into the H W pixels,
      [N].
    patch_size: Side of a patch.

  Returns:
    Indices into the H W pixels, [N, M], as of `find_similar`.
  """
  height, width, channels = guide.shape
  last = height - patch_size, width - patch_size
  num = min(_NUM_SIMILAR, (last[0] + 1) * (last[1] + 1))
  count = 2 * _RADIUS + 1
  edge = (_RADIUS, _RADIUS)
  around = jnp.pad(jnp.moveaxis(guide, -1, 0), ((0, 0), edge, edge))
  move = np.arange(count) - _RADIUS
  size = (channels, count + patch_size - 1, count + patch_size - 1)

  def of_patch(corner: Array) -> Array:
    row, column = jnp.divmod(corner, width)
    window = jax.lax.dynamic_slice(around, (0, row, column), size)
    distance = jnp.zeros((count, count))
    for down, right in np.ndindex(patch_size, patch_size):
      own = window[:, _RADIUS + down, _RADIUS + right]
      other = window[:, down : down + count, right : right + count]
      distance += jnp.sum((other - own[:, None, None]) ** 2, axis=0)
    top, left = row + move, column + move
    is_top, is_left = (
      (found >= 0) & (found <= most)
      for found, most in zip((top, left), last, strict=True)
    )
    distance = jnp.where(is_top[:, None] & is_left[None], distance, jnp.inf)
    distance = distance.at[_RADIUS, _RADIUS].set(-1)
    nearest = jax.lax.top_k(-distance.ravel(), num)[1]
    return top[nearest // count] * width + left[nearest % count]

  return jax.lax.map(of_patch, corners, batch_size=_CHUNK)


def grid(last: int, stride: int) -> np.ndarray:
  """Positions from 0 to `last`, both among them."""
  return np.unique(np.append(np.arange(0, last, stride), last))
