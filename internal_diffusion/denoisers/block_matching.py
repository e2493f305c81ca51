"""The closed form of p(delta | source, target): block matching as a posterior.

The triplets of a frame whose source is the given one are the blocks around it.
With noise of level sigma_aug on every pixel of the target t, whose triplets
have the targets b_i at the displacements d_i,

  p(i | t) ~ exp(-|t - b_i|^2 / (2 sigma_aug^2)),

a softmax over squared distances. The displacements lie on a grid, and each
stands for its cell, as a Gaussian N(d_i, k^2 I) with k half a step of the grid.
So with x = delta + sigma eps,

  p(i | t, x) ~ p(i | t) exp(-|x - d_i|^2 / (2 (sigma^2 + k^2))),
  D(x; sigma) = sum_i p(i | t, x) (sigma^2 d_i + k^2 x) / (sigma^2 + k^2).

There is nothing to train.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.types import Condition

Array = jax.Array

_CUBIC_REACH = 1  # Pixels that the cubic needs beyond the outermost block.
_CELL = 0.5  # k, in steps of the grid.


class BlockMatching(NamedTuple):
  """The grid and what it takes to look blocks up.

  Attributes:
    displacements: d_i (x, y) in pixels, [M, 2].
    blocks: From a source to all its blocks without their means, [P*P, M * B].
    target: From a target to its middle block without its mean, [P*P, B].
    cell: k, in pixels.
  """

  displacements: Array
  blocks: Array
  target: Array
  cell: Array

  @property
  def stddev(self) -> float:
    """Standard deviation of a component before anything is seen, in pixels."""
    variance = np.var(np.asarray(self.displacements[:, 0])) + self.cell**2
    return float(np.sqrt(variance))


def patch_size_of(block_size: int, reach: int) -> int:
  """Side P of the patches that blocks are looked up in."""
  return block_size + 2 * (reach + _CUBIC_REACH)


def make_block_matching(
  *, block_size: int, reach: int, steps_per_pixel: int
) -> BlockMatching:
  """Makes the grid.

  Args:
    block_size: Side of a block, in pixels, odd.
    reach: Largest displacement along an axis, in pixels.
    steps_per_pixel: Of the grid.

  Raises:
    ValueError: If an option is out of range.
  """
  for name, value in {
    'block_size': block_size,
    'reach': reach,
    'steps_per_pixel': steps_per_pixel,
  }.items():
    arrays.check_positive_int(name, value)
  axis = np.arange(-reach * steps_per_pixel, reach * steps_per_pixel + 1)
  axis = (axis / steps_per_pixel).astype(np.float32)
  size = patch_size_of(block_size, reach)
  along = [_lookup(size, block_size, float(shift)) for shift in axis]
  centre = np.eye(block_size**2) - 1 / block_size**2
  blocks = [
    np.kron(rows, columns).T @ centre for rows in along for columns in along
  ]
  middle = blocks[len(blocks) // 2]
  x, y = np.meshgrid(axis, axis)
  return BlockMatching(
    displacements=jnp.stack([x.ravel(), y.ravel()], axis=-1),
    blocks=jnp.asarray(np.concatenate(blocks, axis=1), jnp.float32),
    target=jnp.asarray(middle, jnp.float32),
    cell=jnp.float32(_CELL / steps_per_pixel),
  )


def encode(
  params: BlockMatching, source: Array, target: Array, sigma_aug: Array
) -> Array:
  """Log p(i | t), but for a constant.

  Args:
    params: The grid.
    source: [N, P*P].
    target: [N, P*P].
    sigma_aug: Noise level of their pixels, [N].

  Returns:
    [N, M].
  """
  blocks = (source @ params.blocks).reshape(
    len(source), len(params.displacements), -1
  )
  middle = target @ params.target
  distance = jnp.sum((blocks - middle[:, None]) ** 2, axis=-1)
  return -distance / (2 * sigma_aug[:, None] ** 2)


def denoise(
  params: BlockMatching, x: Array, sigma: Array, cond: Condition | None
) -> Array:
  """The denoiser D.

  Args:
    params: The grid.
    x: Noisy displacements, [N, 2] in pixels.
    sigma: Noise level in pixels, scalar or [N].
    cond: Its vector is what `encode` returned, [N, M].

  Raises:
    ValueError: If there is no such vector.
  """
  if cond is None or cond.vector is None:
    raise ValueError('`cond.vector` must be what `encode` returns, got None.')
  noise = jnp.broadcast_to(sigma, x.shape[:1])[:, None] ** 2
  cell = params.cell**2
  offset = x[:, None] - params.displacements[None]
  log_weight = cond.vector - jnp.sum(offset**2, -1) / (2 * (noise + cell))
  weight = jax.nn.softmax(log_weight, axis=-1)
  found = weight @ params.displacements
  return (noise * found + cell * x) / (noise + cell)


def _lookup(size: int, block_size: int, shift: float) -> np.ndarray:
  """The matrix [B, P] that looks a line's middle B pixels up at a shift."""
  at = np.arange(block_size) + (size - block_size) / 2 + shift
  first = np.floor(at).astype(int) - 1
  matrix = np.zeros((block_size, size))
  for tap in range(4):
    weight = patches.keys_cubic(jnp.asarray(at - first - tap, jnp.float32))
    columns = np.clip(first + tap, 0, size - 1)
    np.add.at(matrix, (np.arange(block_size), columns), np.asarray(weight))
  return matrix
