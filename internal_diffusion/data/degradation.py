"""How a high-resolution image becomes the low-resolution one, and the way back.

The degradation is linear, y = A x, each channel by itself. Both images cover
the same area, so with f = H / h along an axis (and likewise W / w) the centre
of low pixel i lies at the high coordinate

  p_i = (i + 1/2) f - 1/2.

Without a blur kernel, A is antialiased bicubic resampling: the weight of high
pixel u is k((u - p_i) / f), where k is the cubic kernel of Keys 1981 with
a = -1/2, normalised to the sum 1 over u. A is then a matrix for each axis, and
each has singular values of one size: for f of 1.1 or more the largest is at
most 1.8 times the smallest. So every low image has high ones that become it.

With one, x is convolved with the kernel, whose central pixel is the origin, and
the result is read at p_i: as it is where p_i is a whole number (f odd), and by
cubic interpolation with the same k, not widened, where p_i lies between pixels
(at 1/2 for even f). It is a convolution, not a correlation: the kernel is the
picture of a bright point.

Beyond the border, the image repeats its nearest pixel; what is interpolated
after a blur is the blurred image, which does so again.

Reference:
  Keys 1981, Cubic convolution interpolation for digital image processing.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import signal
from jax.scipy.sparse import linalg

from internal_diffusion import arrays
from internal_diffusion.data import blur_kernel

Array = jax.Array

FACTORS = (1.1, 8.0)
# On GPUs the default for float32 products is a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST
_CONVERGED = 1e-6  # Residual over the first one, at float32's precision.


class Degradation(NamedTuple):
  """A of the module's head and interpolation back, ready for the device.

  Attributes:
    rows: What is read of the rows of the (blurred) image, [h, H].
    columns: The same for its columns, [w, W].
    up_rows: Interpolation from low to high rows, [H, h].
    up_columns: The same for columns, [W, w].
    kernel: Blur [k, l] of sum 1; None where `rows` and `columns` antialias.
  """

  rows: Array
  columns: Array
  up_rows: Array
  up_columns: Array
  kernel: Array | None

  @property
  def low_size(self) -> tuple[int, int]:
    """Height and width of low images."""
    return self.rows.shape[0], self.columns.shape[0]

  @property
  def high_size(self) -> tuple[int, int]:
    """Height and width of high images."""
    return self.rows.shape[1], self.columns.shape[1]


def scaled_size(
  low_size: tuple[int, int], factor: float | tuple[float, float]
) -> tuple[int, int]:
  """Size (height, width) of the image that is larger by a factor.

  Args:
    low_size: Height and width.
    factor: Any number in [1.1, 8], or one for each axis.

  Returns:
    round(factor * low_size).

  Raises:
    ValueError: If a factor is out of its range.
  """
  factors = factor if isinstance(factor, tuple) else (factor, factor)
  for value in factors:
    arrays.check_in_range('factor', value, *FACTORS)
  return round(factors[0] * low_size[0]), round(factors[1] * low_size[1])


def make_degradation(
  low_size: tuple[int, int],
  high_size: tuple[int, int],
  *,
  kernel: np.ndarray | None = None,
) -> Degradation:
  """The degradation between two sizes.

  Args:
    low_size: Height and width of low images.
    high_size: Those of high images, at least as large; see `scaled_size`.
    kernel: Blur on the high grid, [k, l] with odd sides; one whose sum is not 1
      is divided by it, with a warning. None is antialiased bicubic.

  Returns:
    The degradation, in float32.

  Raises:
    ValueError: If a size or the kernel is not as said above.
  """
  for name, size in (('low_size', low_size), ('high_size', high_size)):
    for side in size:
      arrays.check_positive_int(name, side)
  if high_size[0] < low_size[0] or high_size[1] < low_size[1]:
    raise ValueError(
      f'`high_size` must be at least `low_size` {low_size}, got {high_size}.'
    )
  centre = (0.0, 0.0)
  if kernel is not None:
    kernel = blur_kernel.check_kernel(kernel)
    centre = blur_kernel.centre_of_mass(kernel)
  down, up = [], []
  for low, high, offset in zip(low_size, high_size, centre, strict=True):
    factor = high / low
    positions = (np.arange(low) + 0.5) * factor - 0.5
    width = factor if kernel is None else 1.0
    down.append(_cubic_weights(positions, high, width=width))
    # The kernel moves the image by its centre of mass: move it back.
    positions = (np.arange(high) + offset + 0.5) / factor - 0.5
    up.append(_cubic_weights(positions, low))
  blur = None if kernel is None else jnp.asarray(kernel, jnp.float32)
  return Degradation(down[0], down[1], up[0], up[1], blur)


def downscale(image: Array, degradation: Degradation) -> Array:
  """A x: the low image that a high image becomes.

  Args:
    image: [..., H, W, C].
    degradation: Of this size.

  Returns:
    [..., h, w, C]; nothing is clipped, and cubic weights overshoot at edges.

  Raises:
    ValueError: If the image has another size.
  """
  _check_size('image', image, degradation.high_size)
  if degradation.kernel is not None:
    image = _blur(image, degradation.kernel)
  return _resample(image, degradation.rows, degradation.columns)


def upscale(low: Array, degradation: Degradation) -> Array:
  """Bicubic interpolation of a low image at the pixels of the high one.

  A blur kernel whose centre of mass is not its central pixel moves the image,
  by a share of a pixel as a rule. The interpolation moves it back.

  Args:
    low: [..., h, w, C].
    degradation: Of this size.

  Returns:
    [..., H, W, C], not clipped.

  Raises:
    ValueError: If the image has another size.
  """
  _check_size('low', low, degradation.low_size)
  return _resample(low, degradation.up_rows, degradation.up_columns)


def adjoint(low: Array, degradation: Degradation) -> Array:
  """A^T y: <A x, y> = <x, A^T y> for all images x.

  Args:
    low: [..., h, w, C].
    degradation: Of this size.

  Returns:
    [..., H, W, C].

  Raises:
    ValueError: If the image has another size.
  """
  _check_size('low', low, degradation.low_size)
  low = jnp.asarray(low)
  shape = (*low.shape[:-3], *degradation.high_size, low.shape[-1])
  transposed = jax.linear_transpose(
    lambda x: downscale(x, degradation), jax.ShapeDtypeStruct(shape, low.dtype)
  )
  return transposed(low)[0]


def back_project(
  image: Array, low: Array, degradation: Degradation, *, num_steps: int = 8
) -> Array:
  """The nearest image that becomes the low one: x + A^T (A A^T)^-1 (y - A x).

  The linear system is solved by conjugate gradients, each image by itself.
  With c the ratio of the extreme eigenvalues of A A^T, a step divides the bound
  on the error by (sqrt(c) + 1) / (sqrt(c) - 1). Without a blur kernel c is at
  most 10 (5 for factors of 1.25 or more), which makes that 1.9 (2.6) and the
  default ample. A blur kernel may suppress a band that the low image should
  have, so that c is large. The band then returns last: few steps leave it out,
  and with it the noise and rounding of the low image that it would amplify.

  Args:
    image: [..., H, W, C].
    low: The low image y, [..., h, w, C]; leading axes broadcast.
    degradation: Of these sizes.
    num_steps: Number of conjugate gradient steps.

  Returns:
    [..., H, W, C], not clipped.

  Raises:
    ValueError: If an image has another size or there is no step.
  """
  arrays.check_positive_int('num_steps', num_steps)
  _check_size('image', image, degradation.high_size)
  _check_size('low', low, degradation.low_size)

  def gram(y: Array) -> Array:
    return downscale(adjoint(y, degradation), degradation)

  def project(x: Array, y: Array) -> Array:
    solution, _ = linalg.cg(
      gram, y - downscale(x, degradation), tol=_CONVERGED, maxiter=num_steps
    )
    return x + adjoint(solution, degradation)

  lows = jnp.broadcast_to(low, (*image.shape[:-3], *low.shape[-3:]))
  signature = '(H,W,C),(h,w,C)->(H,W,C)'
  return jnp.vectorize(project, signature=signature)(image, lows)


def _keys(distance: np.ndarray) -> np.ndarray:
  """The cubic convolution kernel (Keys 1981, eq. 15: a = -1/2)."""
  t = np.abs(distance)
  inner = 1.5 * t**3 - 2.5 * t**2 + 1
  outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
  return np.where(t < 1, inner, np.where(t < 2, outer, 0.0))


def _cubic_weights(
  positions: np.ndarray, num_pixels: int, *, width: float = 1.0
) -> Array:
  """Weights of pixels around positions, [len(positions), num_pixels]."""
  reach = int(np.ceil(2 * width))
  taps = np.arange(-reach, reach + 1)[None] + np.round(positions)[:, None]
  weights = _keys((taps - positions[:, None]) / width)
  weights /= weights.sum(axis=1, keepdims=True)
  pixels = np.clip(taps, 0, num_pixels - 1).astype(int)
  matrix = np.zeros((len(positions), num_pixels))
  np.add.at(matrix, (np.arange(len(positions))[:, None], pixels), weights)
  return jnp.asarray(matrix.astype(np.float32))  # Compiles no conversion.


def _resample(image: Array, rows: Array, columns: Array) -> Array:
  """The separable product along the axes H and W of [..., H, W, C]."""
  return jnp.einsum(
    'iH,...HWc,jW->...ijc', rows, image, columns, precision=_EXACT
  )


def _blur(image: Array, kernel: Array) -> Array:
  """Convolution of [..., H, W, C] with the kernel, edges repeated."""
  rows, columns = (side // 2 for side in kernel.shape)
  around = [*[(0, 0)] * (image.ndim - 2), (rows, rows), (columns, columns)]
  padded = jnp.pad(jnp.moveaxis(image, -1, -3), around, mode='edge')

  def convolve(channel: Array) -> Array:
    return signal.fftconvolve(channel, kernel, mode='valid')

  blurred = jnp.vectorize(convolve, signature='(H,W)->(h,w)')(padded)
  return jnp.moveaxis(blurred, -3, -1)


def _check_size(name: str, image: Array, size: tuple[int, int]) -> None:
  if image.ndim < 3 or image.shape[-3:-1] != size:
    raise ValueError(
      f'`{name}` must be [..., {size[0]}, {size[1]}, C], got shape'
      f' {image.shape}.'
    )
