"""Blocks of high pixels around every low pixel, and the plane they make.

A low pixel has s x s high ones. Its block is what the low pixels up to `reach`
away cover too, so that every high pixel is in (2 reach + 1)^2 blocks; the plane
is their mean.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def average_blocks(blocks: Array, *, factor: int, reach: int) -> Array:
  """The plane [s h, s w] that blocks [h, w, T*T] make.

  Args:
    blocks: T = s (2 reach + 1).
    factor: s.
    reach: In low pixels.
  """
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


def take_sparse(blocks: Array, offset: Array, *, stride: int) -> Array:
  """Every `stride`-th block each way, from an offset on.

  Args:
    blocks: [h, w, D].
    offset: Of the first one, (down, right), int32 below `stride`.
    stride: n.

  Returns:
    [ceil(h / n), ceil(w / n), D]; a last one beyond the border repeats the
    border's.
  """
  pad = [(0, -side % stride) for side in blocks.shape[:2]]
  padded = jnp.pad(blocks, [*pad, (0, 0)], mode='edge')
  height, width, dim = padded.shape
  cells = padded.reshape(height // stride, stride, width // stride, stride, dim)
  return cells[:, offset[0], :, offset[1]]


def place_sparse(
  sparse: Array, offset: Array, *, stride: int, shape: tuple[int, int]
) -> Array:
  """Puts blocks back to where `take_sparse` found them, 0 elsewhere.

  Args:
    sparse: [ceil(h / n), ceil(w / n), D].
    offset: As it was.
    stride: n.
    shape: h and w.

  Returns:
    [h, w, D].
  """
  rows, columns, dim = sparse.shape
  cells = jnp.zeros((rows, stride, columns, stride, dim))
  cells = cells.at[:, offset[0], :, offset[1]].set(sparse)
  height, width = shape
  return cells.reshape(rows * stride, columns * stride, dim)[:height, :width]
