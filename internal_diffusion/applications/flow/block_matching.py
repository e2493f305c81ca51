"""The closed form of p(delta | source, target): block matching as a posterior.

The triplets of a frame with a given source are the blocks around it. With noise
of level sigma_aug on each pixel of the target t, where the triplet of
displacement d_i has the target b_i,

  p(i | t) ~ exp(-|t - b_i|^2 / (2 sigma_aug^2)),

a softmax over squared distances. The displacements lie on a grid, and each
represents its cell as a Gaussian N(d_i, k^2 I), with k half a step of the grid.
So with x = delta + sigma eps,

  p(i | t, x) ~ p(i | t) exp(-|x - d_i|^2 / (2 (sigma^2 + k^2))),
  D(x; sigma) = sum_i p(i | t, x) (sigma^2 d_i + k^2 x) / (sigma^2 + k^2).

It needs no training.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import patches

Array = jax.Array

_CUBIC_REACH = 1  # Pixels that the cubic needs beyond the outermost block.
_CELL = 0.5  # k, in steps of the grid.


@flax.struct.dataclass
class BlockMatching:
  """The closed-form denoiser of displacements; see the module's docstring.

  Attributes:
    displacements: d_i (x, y) in pixels, [M, 2].
    blocks: Map of a source to all its blocks without their means, [P*P, M * B].
    target: Map of a target to its central block without its mean, [P*P, B].
    cell: k, in pixels.
  """

  displacements: Array
  blocks: Array
  target: Array
  cell: Array

  @property
  def stddev(self) -> float:
    """Prior standard deviation of a displacement's component, in pixels."""
    variance = np.var(np.asarray(self.displacements[:, 0])) + self.cell**2
    return float(np.sqrt(variance))

  def encode(self, source: Array, target: Array, sigma_aug: Array) -> Array:
    """Log p(i | t) without its constant, [N, M].

    Args:
      source: Source patches, [N, P*P].
      target: Target patches, [N, P*P].
      sigma_aug: Noise level of the patches, [N].
    """
    blocks = (source @ self.blocks).reshape(
      len(source), len(self.displacements), -1
    )
    central = target @ self.target
    distance = jnp.sum((blocks - central[:, None]) ** 2, axis=-1)
    return -distance / (2 * sigma_aug[:, None] ** 2)

  def denoise(self, x: Array, sigma: Array, vector: Array) -> Array:
    """Denoises displacements.

    Args:
      x: Noisy displacements in pixels, [N, 2].
      sigma: Noise level in pixels, scalar or [N].
      vector: Result of `encode`, [N, M].
    """
    noise = jnp.broadcast_to(sigma, x.shape[:1])[:, None] ** 2
    cell = self.cell**2
    offset = x[:, None] - self.displacements[None]
    log_weight = vector - jnp.sum(offset**2, -1) / (2 * (noise + cell))
    mean = jax.nn.softmax(log_weight, axis=-1) @ self.displacements
    return (noise * mean + cell * x) / (noise + cell)


def patch_size_of(block_size: int, reach: int) -> int:
  """Side P of the patches that contain all blocks of a source."""
  return block_size + 2 * (reach + _CUBIC_REACH)


def make_block_matching(
  *, block_size: int, reach: int, steps_per_pixel: int
) -> BlockMatching:
  """Block matching.

  Args:
    block_size: Side of a block in pixels, odd.
    reach: Largest displacement along an axis, in pixels.
    steps_per_pixel: Number of displacements of the grid in a pixel.
  """
  axis = np.arange(-reach * steps_per_pixel, reach * steps_per_pixel + 1)
  axis = (axis / steps_per_pixel).astype(np.float32)
  size = patch_size_of(block_size, reach)
  along = [_interpolation(size, block_size, float(shift)) for shift in axis]
  centre = np.eye(block_size**2) - 1 / block_size**2
  blocks = [
    np.kron(rows, columns).T @ centre for rows in along for columns in along
  ]
  x, y = np.meshgrid(axis, axis)
  return BlockMatching(
    displacements=jnp.stack([x.ravel(), y.ravel()], axis=-1),
    blocks=jnp.asarray(np.concatenate(blocks, axis=1), jnp.float32),
    target=jnp.asarray(blocks[len(blocks) // 2], jnp.float32),
    cell=jnp.float32(_CELL / steps_per_pixel),
  )


def _interpolation(size: int, block_size: int, shift: float) -> np.ndarray:
  """Matrix [B, P] that samples a line's central B pixels at a shift."""
  points = np.arange(block_size) + (size - block_size) / 2 + shift
  distance = jnp.asarray(points[:, None] - np.arange(size), jnp.float32)
  return np.asarray(patches.keys_cubic(distance))
