"""The cells of one plane of a JPEG file: quantised block cosine transforms.

The level n and the step q of a coefficient F say that |F - n q| <= q / 2. Here
F is the orthonormal cosine transform of 8 x 8 values of the plane, and each
value is the mean over a rectangle of pixels (chroma subsampling).

Blocks that the picture does not fill are completed by copies of its last rows
and columns, as encoders do. A change of such a block is spread over a pixel and
its copies: the projection onto pictures whose copies are equal.

Rounding a picture to 8 bits moves a coefficient by about 0.3 grey levels, and
more where pixels have copies. So a plane is put a little inside its cells, that
another encoding gives the same levels.
"""

from collections.abc import Sequence

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.data.operators import Size
from internal_diffusion.types import static

Array = jax.Array

# Distance from a cell's wall: four standard deviations of the rounding to 8
# bits, but no more than this part of the step.
_MARGIN, _MAX_MARGIN = 1.2, 0.3
_HIGHEST = jax.lax.Precision.HIGHEST


def _cosines() -> np.ndarray:
  """The orthonormal cosine transform [frequency, pixel] of 8 pixels."""
  frequency, pixel = np.indices((8, 8))
  matrix = np.cos(np.pi * (2 * pixel + 1) * frequency / 16) / 2
  matrix[0] /= np.sqrt(2)
  return matrix.astype(np.float32)


_COSINES = _cosines()


@flax.struct.dataclass
class PlaneCells:
  """The cells of one plane.

  Attributes:
    levels: Quantised coefficients [R, C, 8, 8] int16; the last axes are
      vertical and horizontal frequency.
    steps: Quantisation steps [8, 8], in grey levels of 255.
    factor: Rows and columns of pixels that one value of the plane covers.
  """

  levels: Array
  steps: Array
  factor: Size = static()

  def coefficients(self, plane: Array) -> Array:
    """Coefficients [..., R, C, 8, 8] of a plane [..., H, W]."""
    return to_blocks(self.subsample(plane))

  def centres(self) -> Array:
    """The middle of each cell, [R, C, 8, 8]."""
    return self.levels * self.steps[None, None]

  def project(self, plane: Array, variance: Array) -> Array:
    """The most probable plane in the cells.

    Each coefficient is the mean of its own value and the cell's centre,
    weighted by the inverse variances, clipped to the cell.

    Args:
      plane: [..., H, W].
      variance: Variance of the coefficients' errors, scalar; 0 for the nearest
        plane.

    Returns:
      [..., H, W].
    """
    found = self.coefficients(plane)
    centres = _like(self.centres(), found)
    steps = _like(self.steps, found)
    cell_variance = steps**2 / 12
    offset = (found - centres) * (cell_variance / (cell_variance + variance))
    margin = _MARGIN * _like(jnp.asarray(self._copies(plane.shape[-2:])), found)
    reach = steps / 2 - jnp.minimum(margin, _MAX_MARGIN * steps)
    change = centres + jnp.clip(offset, -reach, reach) - found
    return plane + self._enlarge(_from_blocks(change), plane)

  def decode(self, size: Size) -> Array:
    """The plane [H, W] of the cells' centres, interpolated linearly."""
    plane = _from_blocks(self.centres())
    rows, columns = (
      side * factor
      for side, factor in zip(plane.shape, self.factor, strict=True)
    )
    plane = jax.image.resize(plane, (rows, columns), 'linear')
    return plane[: size[0], : size[1]]

  def amplify(self, plane: Array, gain: Array) -> Array:
    """A plane [..., H, W] with each frequency multiplied by `gain`, [8, 8]."""
    found = self.coefficients(plane)
    change = found * (_like(gain, found) - 1)
    return plane + self._enlarge(_from_blocks(change), plane)

  def pixel_variance(self, variance: ArrayLike, size: Size) -> Array:
    """Variances of pixels [H, W] from those of coefficients [R, C, 8, 8].

    The errors of coefficients are independent.
    """
    plane = _synthesise(jnp.asarray(variance, jnp.float32), _COSINES**2)
    down, right = self.factor
    plane = jnp.repeat(jnp.repeat(plane, down, 0), right, 1)
    return plane[: size[0], : size[1]]

  def _copies(self, size: Sequence[int]) -> np.ndarray:
    """Root of how often the last pixels are repeated, [R, C, 1, 1]; 1 inside.

    By this factor the rounding of a repeated pixel moves a coefficient more.
    """
    most = []
    for blocks, side, factor in zip(
      self.levels.shape[:2], size, self.factor, strict=True
    ):
      copies = np.ones(blocks)
      copies[-1] = 8 * blocks - -(-side // factor) + 1
      most.append(np.sqrt(copies))
    return np.outer(*most)[..., None, None].astype(np.float32)

  def subsample(self, plane: Array) -> Array:
    """Means over rectangles; the last pixels complete the last blocks.

    As libjpeg does, columns are repeated before the mean and rows after it.
    """
    (down, right), (rows, columns) = self.factor, self.levels.shape[:2]
    *batch, height, width = plane.shape
    none = [(0, 0)] * len(batch)
    wide = [(0, -height % down), (0, 8 * columns * right - width)]
    plane = jnp.pad(plane, none + wide, mode='edge')
    plane = plane.reshape(*batch, -1, down, 8 * columns, right).mean((-3, -1))
    tall = [(0, 8 * rows - plane.shape[-2]), (0, 0)]
    return jnp.pad(plane, none + tall, mode='edge')

  def _enlarge(self, change: Array, plane: Array) -> Array:
    """The smallest change of a plane's pixels with these means.

    A pixel that was repeated to complete a block changes as its copies do on
    average.
    """
    down, right = self.factor
    height, width = plane.shape[-2:]
    change = _fold(change, -2, -(-height // down))
    change = jnp.repeat(jnp.repeat(change, down, -2), right, -1)
    return _fold(change[..., :height, :], -1, width)


def to_blocks(plane: Array) -> Array:
  """Coefficients [..., R, C, 8, 8] of a plane [..., 8 R, 8 C]."""
  *batch, height, width = plane.shape
  blocks = plane.reshape(*batch, height // 8, 8, width // 8, 8)
  return jnp.einsum(
    'ui,...ricj,vj->...rcuv', _COSINES, blocks, _COSINES, precision=_HIGHEST
  )


def _from_blocks(coefficients: Array) -> Array:
  """Inverts `to_blocks`."""
  return _synthesise(coefficients, _COSINES)


def _synthesise(coefficients: Array, basis: np.ndarray) -> Array:
  """Sums of products of a basis [frequency, pixel] in each direction."""
  *batch, rows, columns, _, _ = coefficients.shape
  blocks = jnp.einsum(
    'ui,...rcuv,vj->...ricj', basis, coefficients, basis, precision=_HIGHEST
  )
  return blocks.reshape(*batch, 8 * rows, 8 * columns)


def _fold(values: Array, axis: int, length: int) -> Array:
  """Shortens an axis: its new last value is the mean of all that follow."""
  first, rest = jnp.split(values, [length - 1], axis)
  return jnp.concatenate([first, rest.mean(axis, keepdims=True)], axis)


def _like(values: Array, coefficients: Array) -> Array:
  """Axes of size 1 before values, up to the rank of coefficients."""
  missing = coefficients.ndim - values.ndim
  return values.reshape((1,) * missing + values.shape)
