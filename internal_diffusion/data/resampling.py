"""Cubic resampling of images, as one matrix for each axis.

An image and its resampled version cover the same area: with f = old / new along
an axis, the centre of new pixel i lies at the old coordinate

  p_i = (i + 1/2) f - 1/2.

The weight of old pixel u is k((u - p_i) / w), normalised to the sum 1 over u,
where k is the cubic kernel of Keys 1981 (eq. 15, a = -1/2). The width w is
max(f, 1): a kernel widened by the factor removes the frequencies that a smaller
image cannot hold. Beyond the border an image repeats its nearest pixel, or
continues at the opposite border.

Resampling is linear. A cubic kernel overshoots at edges; nothing is clipped.

Reference:
  Keys 1981, Cubic convolution interpolation for digital image processing.
"""

import enum

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
# On GPUs the default for float32 products is a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST


class Border(enum.StrEnum):
  """What an image is beyond its border.

  Attributes:
    REPLICATE: Its nearest pixel.
    WRAP: The image again, so that opposite borders meet.
  """

  REPLICATE = 'replicate'
  WRAP = 'wrap'


def cubic_weights(
  positions: np.ndarray,
  num_pixels: int,
  *,
  width: float = 1.0,
  border: Border = Border.REPLICATE,
) -> np.ndarray:
  """Matrix that reads a line of pixels at given positions.

  Args:
    positions: Coordinates in pixels, [N]; pixel u has its centre at u.
    num_pixels: Number M of pixels of the line.
    width: Width w of the kernel, in pixels, at least 1.
    border: The line beyond its ends.

  Returns:
    Weights [N, M] float32; each row has the sum 1.
  """
  reach = int(np.ceil(2 * width))
  taps = np.arange(-reach, reach + 1)[None] + np.round(positions)[:, None]
  weights = _keys((taps - positions[:, None]) / width)
  weights /= weights.sum(axis=1, keepdims=True)
  if border is Border.WRAP:
    pixels = taps % num_pixels
  else:
    pixels = np.clip(taps, 0, num_pixels - 1)
  matrix = np.zeros((len(positions), num_pixels))
  rows = np.arange(len(positions))[:, None]
  np.add.at(matrix, (rows, pixels.astype(int)), weights)
  return matrix.astype(np.float32)


def resampling_matrix(
  num_new: int, num_old: int, *, border: Border = Border.REPLICATE
) -> np.ndarray:
  """Matrix [num_new, num_old] that resamples one axis, float32."""
  factor = num_old / num_new
  positions = (np.arange(num_new) + 0.5) * factor - 0.5
  return cubic_weights(positions, num_old, width=max(factor, 1), border=border)


@jax.jit
def apply_matrices(
  image: Array, rows: Array | np.ndarray, columns: Array | np.ndarray
) -> Array:
  """Multiplies the axes H and W of an image by a matrix each.

  Args:
    image: [..., H, W, C].
    rows: Matrix of the rows, [h, H].
    columns: Matrix of the columns, [w, W].

  Returns:
    [..., h, w, C].
  """
  return jnp.einsum(
    'iH,...HWc,jW->...ijc', rows, image, columns, precision=_EXACT
  )


def resample(
  image: Array | np.ndarray,
  size: tuple[int, ...],
  *,
  border: Border = Border.REPLICATE,
) -> Array:
  """Resamples images [..., H, W, C] to [..., *size, C].

  A size (T, H, W) resamples clips [..., T, H, W, C] in time, too.
  """
  *times, rows, columns = (
    resampling_matrix(new, old, border=border)
    for new, old in zip(size, image.shape[-1 - len(size) : -1], strict=True)
  )
  resampled: Array = apply_matrices(image, rows, columns)
  return apply_in_time(resampled, times[0]) if times else resampled


@jax.jit
def apply_in_time(clip: Array, matrix: Array | np.ndarray) -> Array:
  """Multiplies the axis T of a clip [..., T, H, W, C] by a matrix [t, T]."""
  return jnp.einsum('tT,...THWC->...tHWC', matrix, clip, precision=_EXACT)


def _keys(distance: np.ndarray) -> np.ndarray:
  """The cubic convolution kernel (Keys 1981, eq. 15: a = -1/2)."""
  t = np.abs(distance)
  inner = 1.5 * t**3 - 2.5 * t**2 + 1
  outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
  return np.where(t < 1, inner, np.where(t < 2, outer, 0.0))
