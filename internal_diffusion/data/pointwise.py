"""Operators that act on each pixel by itself: identity, mask, luminance.

A A^T is diagonal, so the way back has a closed form for each pixel. `Masking`
multiplies an image by its mask, so an observation has the size of the image,
and is 0 where nothing was seen.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.data.operators import LinearOperator, Size, check_size
from internal_diffusion.data.resampling import resample
from internal_diffusion.types import static

Array = jax.Array

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601.


@flax.struct.dataclass
class _SizePreserving(LinearOperator):
  """An operator whose observations have the size of the image.

  Attributes:
    size: Height and width.
  """

  size: Size = static()

  @property
  def input_size(self) -> Size:
    """Height and width."""
    return self.size

  @property
  def output_size(self) -> Size:
    """Height and width."""
    return self.size


@flax.struct.dataclass
class Identity(_SizePreserving):
  """The image itself."""

  def apply(self, image: Array) -> Array:
    """The image."""
    check_size('image', image, self.size)
    return image

  def interpolate(self, observation: Array) -> Array:
    """The image."""
    check_size('observation', observation, self.size)
    return observation

  def adjoint(self, observation: Array) -> Array:
    """The image."""
    return self.interpolate(observation)

  def at_size(self, size: Size) -> 'Identity':
    """The identity of images of another size."""
    return Identity(size)

  def solve(
    self, residual: Array, weight: Array, shift: Array, num_steps: int
  ) -> Array:
    """Residual / (weight + shift)."""
    del num_steps
    return residual / _align(weight + shift, residual)


@flax.struct.dataclass
class Masking(LinearOperator):
  """The pixels of an image that are seen. Make it with `make_masking`.

  Attributes:
    seen: True where a pixel is seen, [H, W, 1], or [H, W, C] for each channel.
  """

  seen: Array

  @property
  def input_size(self) -> Size:
    """Height and width."""
    return self.seen.shape[0], self.seen.shape[1]

  @property
  def output_size(self) -> Size:
    """Height and width."""
    return self.input_size

  def apply(self, image: Array) -> Array:
    """The image, 0 where it is not seen."""
    check_size('image', image, self.input_size)
    return jnp.where(_align(self.seen, image), image, 0)

  def adjoint(self, observation: Array) -> Array:
    """The observation, 0 where it is not seen."""
    return self.apply(observation)

  def interpolate(self, observation: Array) -> Array:
    """Missing pixels filled with averages of the nearest seen ones.

    The smallest square of a quadtree that has a seen pixel gives the average,
    and squares are blended linearly.

    Raises:
      ValueError: If the observation has another size.
    """
    check_size('observation', observation, self.input_size)
    return _fill(observation, jnp.asarray(self.seen))

  def at_size(self, size: Size) -> 'Masking':
    """The mask of another size: seen where more than half of a pixel is."""
    return Masking(resample(self.seen.astype(jnp.float32), size) > 0.5)

  def observation_at_size(self, observation: Array, size: Size) -> Array:
    """The filled observation at another size."""
    filled = resample(self.interpolate(observation), size)
    return self.at_size(size).apply(filled)

  def solve(
    self, residual: Array, weight: Array, shift: Array, num_steps: int
  ) -> Array:
    """Residual / (weight + shift) where seen."""
    del num_steps
    seen = _align(self.seen, residual)
    scale = jnp.where(seen, _align(weight + shift, residual), 1)
    return jnp.where(seen, residual, 0) / scale


def make_masking(seen: np.ndarray | Array) -> Masking:
  """The operator of the seen pixels.

  Args:
    seen: Booleans [H, W], or [H, W, C] for each channel by itself.

  Raises:
    ValueError: If the mask has another type or shape, or nothing is seen.
  """
  seen = np.asarray(seen)
  if seen.dtype != np.bool_ or seen.ndim not in (2, 3):
    raise ValueError(
      '`seen` must be booleans [H, W] or [H, W, C], got'
      f' {seen.dtype} {seen.shape}.'
    )
  if not seen.any():
    raise ValueError('`seen` must be True somewhere, got only missing pixels.')
  return Masking(jax.device_put(seen[..., None] if seen.ndim == 2 else seen))


@flax.struct.dataclass
class Luminance(_SizePreserving):
  """Luma of ITU-R BT.601 of colour images, [..., H, W, 3] to [..., H, W, 1]."""

  def apply(self, image: Array) -> Array:
    """The luma of a colour image.

    Raises:
      ValueError: If the image has another size or number of channels.
    """
    check_size('image', image, self.size)
    if image.shape[-1] != 3:
      raise ValueError(
        f'`image` must have 3 channels, got shape {image.shape}.'
      )
    return jnp.sum(image * _align(_LUMA, image), axis=-1, keepdims=True)

  def adjoint(self, observation: Array) -> Array:
    """The observation times each channel's weight."""
    check_size('observation', observation, self.size)
    return observation * _align(_LUMA, observation)

  def interpolate(self, observation: Array) -> Array:
    """The grey image of this luma, with three equal channels."""
    check_size('observation', observation, self.size)
    return jnp.repeat(observation, 3, axis=-1)

  def at_size(self, size: Size) -> 'Luminance':
    """The luma of images of another size."""
    return Luminance(size)

  def solve(
    self, residual: Array, weight: Array, shift: Array, num_steps: int
  ) -> Array:
    """Residual / (weight |w|^2 + shift), with w the channels' weights."""
    del num_steps
    gram = float(np.sum(_LUMA**2))
    return residual / _align(weight * gram + shift, residual)


@jax.jit
def _fill(observation: Array, seen: Array) -> Array:
  """See `Masking.interpolate`."""
  weights = jnp.broadcast_to(_align(seen, observation), observation.shape)
  return _fill_level(jnp.where(weights, observation, 0), weights * 1.0)


def _fill_level(weighted: Array, weights: Array) -> Array:
  """Fills one level of the quadtree.

  Args:
    weighted: Values times their weights, [..., H, W, C].
    weights: In [0, 1], of the same shape.

  Returns:
    [..., H, W, C].
  """
  height, width = weights.shape[-3:-1]
  if height == width == 1:
    return weighted / jnp.maximum(weights, 1e-6)
  total, total_weights = _sum_squares(weighted), _sum_squares(weights)
  # A square of two seen pixels is as certain as one of four.
  coarse_weights = jnp.minimum(total_weights, 1)
  mean = total / jnp.maximum(total_weights, 1e-6)
  coarse = _fill_level(mean * coarse_weights, coarse_weights)
  rows, columns = coarse.shape[-3:-1]
  fine_shape = (*weights.shape[:-3], 2 * rows, 2 * columns, weights.shape[-1])
  fine = jax.image.resize(coarse, fine_shape, 'linear')
  return weighted + (1 - weights) * fine[..., :height, :width, :]


def _sum_squares(values: Array) -> Array:
  """Sums over squares of 2 x 2 pixels; zeros complete the last ones."""
  *batch, height, width, channels = values.shape
  around = [*[(0, 0)] * len(batch), (0, height % 2), (0, width % 2), (0, 0)]
  values = jnp.pad(values, around)
  rows, columns = (height + 1) // 2, (width + 1) // 2
  return values.reshape(*batch, rows, 2, columns, 2, channels).sum((-4, -2))


def _align(values: ArrayLike, image: Array) -> Array:
  """Axes of size 1 before values, up to the rank of an image."""
  values = jnp.asarray(values)
  return values.reshape((1,) * (image.ndim - values.ndim) + values.shape)
