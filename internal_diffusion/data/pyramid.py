"""Gaussian pyramids: one image as a stack of its antialiased downscalings.

Level l of a pyramid has the size round(scale_factor^l * [H, W]), where no two
levels are equal after rounding; level 0 is the image. Each level is resampled
from level 0 (`data.resampling`), not from its neighbour, so that errors do not
accumulate.

Levels of different sizes live on the device as one padded stack, because
compiled code needs one shape. The stack carries the true sizes, and no function
of `patches` reads the padding.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data.resampling import resample

Array = jax.Array


class Pyramid(NamedTuple):
  """A pyramid as a padded stack.

  Attributes:
    images: [L, H, W, C] float32 in [-1, 1]; level l fills the top left
      corner [:heights[l], :widths[l]], the rest is padding. Of a clip [L, T, H,
      W, C].
    heights: [L] int32, true heights.
    widths: [L] int32, true widths.
  """

  images: Array
  heights: Array
  widths: Array

  @property
  def num_levels(self) -> int:
    """Number of levels L."""
    return self.images.shape[0]


def pyramid_sizes(
  height: int, width: int, *, scale_factor: float, min_side: int
) -> list[tuple[int, int]]:
  """Sizes (height, width) of all levels whose smallest side is `min_side`.

  Args:
    height: Height of the image, in pixels.
    width: Width of the image, in pixels.
    scale_factor: Size of a level over that of the next finer, in (0, 1).
    min_side: Smallest side of the coarsest level, in pixels, at least 1.

  Returns:
    At least one size, finest first, every one smaller than the one before.

  Raises:
    ValueError: If an option is out of range or the image is below `min_side`.
  """
  arrays.check_in_range(
    'scale_factor', scale_factor, 0, 1, open_low=True, open_high=True
  )
  arrays.check_positive_int('min_side', min_side)
  if min(height, width) < min_side:
    raise ValueError(
      f'The image is {height}x{width}, smaller than `min_side` {min_side};'
      f' give an image of at least {min_side}x{min_side} pixels or a smaller'
      ' `min_side`.'
    )
  # Rounding may bring a level one pixel below the bound. Such a level is left
  # out; to stretch it would change its aspect ratio.
  depth = math.floor(
    math.log(min_side / min(height, width)) / math.log(scale_factor) + 1e-9
  )
  sizes = [(height, width)]
  for level in range(1, depth + 1):
    scale = scale_factor**level
    size = (round(height * scale), round(width * scale))
    if min(size) >= min_side and size != sizes[-1]:
      sizes.append(size)
  return sizes


def resize(image: Array, size: tuple[int, ...]) -> Array:
  """Resamples images [..., H, W, C] to [..., *size, C], clipped to [-1, 1]."""
  return jnp.clip(resample(image, size), -1.0, 1.0)


def build_pyramid(
  image: Array | np.ndarray, *, scale_factor: float = 0.75, min_side: int = 20
) -> list[Array]:
  """The levels of an image's pyramid, finest first.

  Args:
    image: [H, W, C] floats in [-1, 1].
    scale_factor: Size of a level over that of the next finer, in (0, 1).
    min_side: Smallest side of the coarsest level, in pixels.

  Returns:
    A list of images [h, w, C] float32 in [-1, 1]; the first is the image
    itself.

  Raises:
    ValueError: If the image is not [H, W, C], or an option is out of range.
  """
  if np.ndim(image) != 3:
    raise ValueError(
      f'`image` must be [H, W, C], got an array of shape {np.shape(image)}.'
    )
  height, width = image.shape[:2]
  sizes = pyramid_sizes(
    height, width, scale_factor=scale_factor, min_side=min_side
  )
  return build_levels(image, sizes)


def build_levels(
  image: Array | np.ndarray, sizes: Sequence[tuple[int, ...]]
) -> list[Array]:
  """Levels of given sizes (height, width), the first of them the image's.

  Those of a clip [T, H, W, C] have the sizes (length, height, width).
  """
  finest = jnp.asarray(image, jnp.float32)
  return [finest] + [resize(finest, size) for size in sizes[1:]]


def stack_pyramid(levels: list[Array]) -> Pyramid:
  """Pads the levels of a pyramid to one size and stacks them.

  The padding is NaN, so that a function that reads it by mistake shows it.

  Args:
    levels: Images [h, w, C], or clips [t, h, w, C], finest (largest) first.

  Returns:
    The stack.
  """
  largest = np.max([level.shape for level in levels], axis=0)
  images = [
    jnp.pad(
      level,
      [
        (0, int(most) - own)
        for most, own in zip(largest, level.shape, strict=True)
      ],
      constant_values=jnp.nan,
    )
    for level in levels
  ]
  return Pyramid(
    images=jnp.stack(images),
    heights=jnp.array([level.shape[-3] for level in levels], jnp.int32),
    widths=jnp.array([level.shape[-2] for level in levels], jnp.int32),
  )
