"""Downscaling of images by any factor, alone or after a blur.

`Downscaling` makes a smaller image of a larger one, each channel by itself.
Both images cover the same area, so with f = H / h along an axis (and likewise
W / w) the centre of low pixel i lies at the high coordinate

  p_i = (i + 1/2) f - 1/2.

Without a blur kernel, A is the antialiased cubic resampling of
`data.resampling`: a matrix for each axis. For f of 1.1 or more its largest
singular value is at most 1.8 times its smallest, so every low image has high
images that become it. With c the ratio of the extreme eigenvalues of A A^T, a
step of conjugate gradients divides the bound on the error by
(sqrt(c) + 1) / (sqrt(c) - 1). Here c is at most 10 (5 for factors of 1.25 or
more), which makes that 1.9 (2.6) and eight steps ample.

With a kernel, x is convolved with it (the kernel's central pixel is the origin)
and the result is read at p_i: directly where p_i is a whole number (f odd), and
by cubic interpolation where p_i lies between pixels (at 1/2 for even f). It is
a convolution, not a correlation: the kernel is the image of a bright point.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import signal

from internal_diffusion import arrays
from internal_diffusion.data import blur_kernel
from internal_diffusion.data.operators import LinearOperator, Size, check_size
from internal_diffusion.data.resampling import (
  Border,
  apply_matrices,
  cubic_weights,
  resampling_matrix,
)
from internal_diffusion.types import static

Array = jax.Array

FACTORS = (1.1, 8.0)  # Range of the ratio of two sizes.


@flax.struct.dataclass
class Downscaling(LinearOperator):
  """Downscaling of high images to low ones, and interpolation back.

  Attributes:
    rows: Matrix of the rows of the (blurred) high image, [h, H].
    columns: Matrix of its columns, [w, W].
    up_rows: Interpolation of low rows at the high pixels, [H, h].
    up_columns: Interpolation of low columns at the high pixels, [W, w].
    kernel: Blur [k, l] of sum 1; None where `rows` and `columns` antialias.
    border: What the images are beyond their borders.
  """

  rows: Array
  columns: Array
  up_rows: Array
  up_columns: Array
  kernel: Array | None
  border: Border = static(default=Border.REPLICATE)

  @property
  def output_size(self) -> Size:
    """Height and width of low images."""
    return self.rows.shape[0], self.columns.shape[0]

  @property
  def input_size(self) -> Size:
    """Height and width of high images."""
    return self.rows.shape[1], self.columns.shape[1]

  def apply(self, image: Array) -> Array:
    """A x: the low image of a high one.

    Args:
      image: High image, [..., H, W, C].

    Returns:
      [..., h, w, C]; nothing is clipped, and cubic weights overshoot at edges.

    Raises:
      ValueError: If the image has another size.
    """
    check_size('image', image, self.input_size)
    if self.kernel is not None:
      image = _blur(image, self.kernel, self.border)
    return apply_matrices(image, self.rows, self.columns)

  def interpolate(self, observation: Array) -> Array:
    """Cubic interpolation of a low image at the pixels of the high one.

    A blur kernel whose centre of mass is not its central pixel moves the image,
    usually by a fraction of a pixel. The interpolation moves it back.

    Args:
      observation: Low image, [..., h, w, C].

    Returns:
      [..., H, W, C], not clipped.

    Raises:
      ValueError: If the image has another size.
    """
    check_size('observation', observation, self.output_size)
    return apply_matrices(observation, self.up_rows, self.up_columns)

  def at_size(self, size: Size) -> 'Downscaling':
    """The downscaling from another size to the same low image.

    An image smaller than the low one is its own observation. A kernel is scaled
    with the image.
    """
    low = np.minimum(self.output_size, size)
    kernel = None
    if self.kernel is not None and (low < size).any():
      kernel = blur_kernel.scale_kernel(
        np.asarray(self.kernel), self.input_size, size
      )
    return make_downscaling(
      (int(low[0]), int(low[1])), size, kernel=kernel, border=self.border
    )


def scaled_size(low_size: Size, factor: float | tuple[float, float]) -> Size:
  """Size (height, width) of the image that is larger by a factor.

  Args:
    low_size: Height and width.
    factor: A number in [1.1, 8], or one for each axis.

  Returns:
    round(factor * low_size).

  Raises:
    ValueError: If a factor is out of its range.
  """
  factors = factor if isinstance(factor, tuple) else (factor, factor)
  for value in factors:
    arrays.check_in_range('factor', value, *FACTORS)
  return round(factors[0] * low_size[0]), round(factors[1] * low_size[1])


def make_downscaling(
  low_size: Size,
  high_size: Size,
  *,
  kernel: np.ndarray | None = None,
  border: Border = Border.REPLICATE,
) -> Downscaling:
  """The downscaling between two sizes, in float32.

  Args:
    low_size: Height and width of low images.
    high_size: Height and width of high images, at least `low_size`; see
      `scaled_size`.
    kernel: Blur at the high resolution, [k, l] with odd sides. A kernel whose
      sum is not 1 is divided by it, with a warning. None is antialiased cubic
      resampling.
    border: What the images are beyond their borders.

  Raises:
    ValueError: If a size or the kernel is not valid.
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
    if kernel is None:
      down.append(resampling_matrix(low, high, border=border))
    else:
      read_at = (np.arange(low) + 0.5) * factor - 0.5
      down.append(cubic_weights(read_at, high, border=border))
    # The kernel moves the image by its centre of mass: move it back.
    positions = (np.arange(high) + offset + 0.5) / factor - 0.5
    up.append(cubic_weights(positions, low, border=border))
  return Downscaling(
    # jnp.asarray would compile a program for every new shape.
    rows=jax.device_put(down[0]),
    columns=jax.device_put(down[1]),
    up_rows=jax.device_put(up[0]),
    up_columns=jax.device_put(up[1]),
    kernel=None
    if kernel is None
    else jax.device_put(kernel.astype(np.float32)),
    border=border,
  )


def _blur(image: Array, kernel: Array, border: Border) -> Array:
  """Convolution of [..., H, W, C] with a kernel."""
  rows, columns = (side // 2 for side in kernel.shape)
  around = [*[(0, 0)] * (image.ndim - 2), (rows, rows), (columns, columns)]
  mode = 'wrap' if border is Border.WRAP else 'edge'
  padded = jnp.pad(jnp.moveaxis(image, -1, -3), around, mode=mode)

  def convolve(channel: Array) -> Array:
    return signal.fftconvolve(channel, kernel, mode='valid')

  blurred = jnp.vectorize(convolve, signature='(H,W)->(h,w)')(padded)
  return jnp.moveaxis(blurred, -3, -1)
