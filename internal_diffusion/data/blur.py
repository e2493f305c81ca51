"""Blur of a scene that goes on beyond the picture's border.

A camera that blurs by k pixels collects light from a scene that is k - 1 pixels
larger than the picture. So `Blur` maps the larger scene to the picture, which
is the part of the convolution that needs nothing from outside the scene. What
lies beyond the picture's border is then an unknown like every other pixel, and
nothing has to be assumed of it: a wrong assumption is what makes deconvolution
ring at borders.

  y[i] = sum_u k[u] x[i + (k - 1) - u],   i = 0 ... h - 1

It is a convolution, not a correlation: the kernel is the image of a bright
point. Its central pixel is the origin, so that a sub-pixel shift is a matter of
the kernel. Pixel i of the picture is pixel i + (k - 1) / 2 of the scene.

A A^T is a Toeplitz matrix of the kernel's autocorrelation. The circulant matrix
of the same symbol is inverted by the Fourier transform and is the
preconditioner of conjugate gradients (Chan & Ng 1996), which then need few
steps.

Reference:
  Chan & Ng 1996, Conjugate gradient methods for Toeplitz systems.
"""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from internal_diffusion import arrays
from internal_diffusion.data import blur_kernel
from internal_diffusion.data.operators import LinearOperator, Size, check_size
from internal_diffusion.types import static

Array = jax.Array

# Least eigenvalue of the preconditioner over the largest: the inverse is exact
# to float32 nowhere below it.
_FLOOR = 1e-4


@flax.struct.dataclass
class Blur(LinearOperator):
  """Convolution of a larger scene with a kernel. Make it with `make_blur`.

  Attributes:
    kernel: Blur of sum 1, [k, l] with odd sides.
    transfer: Its real Fourier transform at the size `circle`.
    size: Height and width of the picture y.
    circle: Size of the Fourier transforms, at least the scene's.
  """

  kernel: Array
  transfer: Array
  size: Size = static()
  circle: Size = static()

  @property
  def margin(self) -> Size:
    """Rows and columns of the scene beyond each border of the picture."""
    return self.kernel.shape[0] // 2, self.kernel.shape[1] // 2

  @property
  def output_size(self) -> Size:
    """Height and width of the picture."""
    return self.size

  @property
  def input_size(self) -> Size:
    """Height and width of the scene."""
    rows, columns = self.margin
    return self.size[0] + 2 * rows, self.size[1] + 2 * columns

  def apply(self, image: Array) -> Array:
    """The blurred picture [..., h, w, C] of a scene [..., H, W, C].

    Raises:
      ValueError: If the scene has another size.
    """
    check_size('image', image, self.input_size)
    (height, width), (rows, columns) = self.size, self.margin

    def convolve(plane: Array) -> Array:
      blurred = self._filter(plane, self.transfer)
      return blurred[2 * rows :, 2 * columns :][:height, :width]

    return _each_plane(convolve, image)

  def adjoint(self, observation: Array) -> Array:
    """A^T y: the correlation with the kernel, [..., H, W, C].

    Raises:
      ValueError: If the observation has another size.
    """
    check_size('observation', observation, self.size)
    (height, width), (rows, columns) = self.input_size, self.margin

    def correlate(plane: Array) -> Array:
      placed = jnp.pad(plane, ((2 * rows, 0), (2 * columns, 0)))
      return self._filter(placed, self.transfer.conj())[:height, :width]

    return _each_plane(correlate, observation)

  def interpolate(self, observation: Array) -> Array:
    """The picture as the scene, continued by its border pixels.

    Raises:
      ValueError: If the observation has another size.
    """
    check_size('observation', observation, self.size)
    rows, columns = self.margin
    around = [(0, 0)] * (observation.ndim - 3)
    around += [(rows, rows), (columns, columns), (0, 0)]
    return jnp.pad(observation, around, mode='edge')

  def crop(self, image: Array) -> Array:
    """The part of a scene that the picture shows, [..., h, w, C]."""
    check_size('image', image, self.input_size)
    (height, width), (rows, columns) = self.size, self.margin
    return image[..., rows : rows + height, columns : columns + width, :]

  def at_size(self, size: Size) -> 'Blur':
    """The blur of the scene at another size, by a scaled kernel."""
    if size == self.input_size:
      return self
    kernel = blur_kernel.scale_kernel(
      np.asarray(self.kernel), self.input_size, size
    )
    height, width = (
      side - extent + 1 for side, extent in zip(size, kernel.shape, strict=True)
    )
    return make_blur((height, width), kernel)

  def precondition(self, residual: Array, weight: Array, shift: Array) -> Array:
    """The inverse of the circulant matrix, on a picture [h, w, c]."""
    power = jnp.abs(self.transfer) ** 2
    symbol = weight * power + jnp.mean(shift)
    symbol = jnp.maximum(symbol, _FLOOR * (weight + jnp.mean(shift)))
    height, width = self.size

    def invert(plane: Array) -> Array:
      return self._filter(plane, 1 / symbol)[:height, :width]

    return _each_plane(invert, residual)

  def _filter(self, plane: Array, transfer: Array) -> Array:
    """Circular convolution of [H, W], with zeros up to the size `circle`."""
    spectrum = jnp.fft.rfft2(plane, self.circle) * transfer
    return jnp.fft.irfft2(spectrum, self.circle)


def make_blur(size: Size, kernel: np.ndarray) -> Blur:
  """The blur that makes pictures of a given size.

  Args:
    size: Height and width of the picture.
    kernel: [k, l] with odd sides, at most the picture's. If its sum is not 1 it
      is divided by it, with a warning.

  Raises:
    ValueError: If the size or the kernel is not valid.
  """
  for side in size:
    arrays.check_positive_int('size', side)
  kernel = blur_kernel.check_kernel(kernel)
  if any(k > s for k, s in zip(kernel.shape, size, strict=True)):
    raise ValueError(
      f'`kernel` must not be larger than the picture of {size[0]} x {size[1]}'
      f' pixels, got shape {kernel.shape}.'
    )
  rows, columns = (
    scipy.fft.next_fast_len(s + k - 1, real=True)
    for s, k in zip(size, kernel.shape, strict=True)
  )
  transfer = np.fft.rfft2(kernel, (rows, columns))
  return Blur(
    kernel=jax.device_put(kernel.astype(np.float32)),
    transfer=jax.device_put(transfer.astype(np.complex64)),
    size=(int(size[0]), int(size[1])),
    circle=(rows, columns),
  )


def _each_plane(function: Callable[[Array], Array], image: Array) -> Array:
  """Applies a function of planes [H, W] to an image [..., H, W, C]."""
  planes = jnp.moveaxis(image, -1, -3)
  planes = jnp.vectorize(function, signature='(H,W)->(h,w)')(planes)
  return jnp.moveaxis(planes, -3, -1)
