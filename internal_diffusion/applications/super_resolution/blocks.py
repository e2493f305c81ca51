"""Blocks of high pixels around every low pixel, and the plane they average to.

A low pixel covers s x s high pixels. Its block covers those of all low pixels
up to `reach` away, so that a high pixel lies in (2 reach + 1)^2 blocks. The
plane is the mean of the blocks where they overlap.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def block_size(factor: int, reach: int) -> int:
  """Side T of a block, in high pixels."""
  return factor * (2 * reach + 1)


def average_blocks(blocks: Array, *, factor: int, reach: int) -> Array:
  """The plane [s h, s w] that the blocks [h, w, T*T] average to."""
  height, width = blocks.shape[:2]
  num = 2 * reach + 1
  parts = blocks.reshape(height, width, num, factor, num, factor)
  high = tuple((side + 2 * reach) * factor for side in (height, width))
  total, weight = jnp.zeros(high), np.zeros(high, np.float32)
  for i, j in np.ndindex(num, num):
    part = jnp.moveaxis(parts[:, :, i, :, j], 2, 1)
    part = part.reshape(height * factor, width * factor)
    place = (
      slice(i * factor, (i + height) * factor),
      slice(j * factor, (j + width) * factor),
    )
    total = total.at[place].add(part)
    weight[place] += 1
  inside = tuple(slice(reach * factor, side - reach * factor) for side in high)
  return total[inside] / weight[inside]


def extract_blocks(plane: Array, *, factor: int, reach: int) -> Array:
  """The blocks [h, w, T*T] of a plane [s h, s w], mirrored at its border."""
  height, width = (side // factor for side in plane.shape)
  num = 2 * reach + 1
  padded = jnp.pad(plane, reach * factor, 'symmetric')
  parts = []
  for i, j in np.ndindex(num, num):
    part = padded[
      i * factor : (i + height) * factor, j * factor : (j + width) * factor
    ]
    part = part.reshape(height, factor, width, factor)
    parts.append(jnp.moveaxis(part, 2, 1))
  stacked = jnp.stack(parts, axis=2).reshape(
    height, width, num, num, factor, factor
  )
  blocks = jnp.moveaxis(stacked, 4, 3)
  return blocks.reshape(height, width, -1)


def blocks_at(plane: Array, pixels: Array, *, factor: int, reach: int) -> Array:
  """The blocks [n, T*T] of low pixels [n], numbered row by row.

  Those of `extract_blocks`, without making all.
  """
  padded = jnp.pad(plane, reach * factor, 'symmetric')
  side = block_size(factor, reach)
  down, right = np.indices((side, side)).reshape(2, 1, -1)
  row, column = jnp.divmod(pixels[:, None], plane.shape[1] // factor)
  return padded[factor * row + down, factor * column + right]


def take_sparse(blocks: Array, offset: Array, *, stride: int) -> Array:
  """Every n-th block along each axis, for a stride n.

  Args:
    blocks: Blocks, [h, w, D].
    offset: Position (row, column) of the first one, int32 below n.
    stride: Stride n.

  Returns:
    [ceil(h / n), ceil(w / n), D]; a block beyond the border repeats the last
    one inside.
  """
  pad = [(0, -side % stride) for side in blocks.shape[:2]]
  padded = jnp.pad(blocks, [*pad, (0, 0)], mode='edge')
  height, width, dim = padded.shape
  cells = padded.reshape(height // stride, stride, width // stride, stride, dim)
  return cells[:, offset[0], :, offset[1]]


def place_sparse(
  sparse: Array, offset: Array, *, stride: int, shape: tuple[int, int]
) -> Array:
  """Blocks [h, w, D] at the places that `take_sparse` took, 0 elsewhere."""
  rows, columns, dim = sparse.shape
  cells = jnp.zeros((rows, stride, columns, stride, dim))
  cells = cells.at[:, offset[0], :, offset[1]].set(sparse)
  height, width = shape
  return cells.reshape(rows * stride, columns * stride, dim)[:height, :width]
