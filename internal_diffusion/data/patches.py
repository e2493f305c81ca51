"""Patches: dense extraction, its exact inverse, and gathering by position.

A patch is a square of P x P pixels with all channels, flattened to a vector of
length P*P*C in row, column, channel order. Its position (row, column) is its
top left pixel; an image [H, W, C] has (H - P + 1) x (W - P + 1) patches.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data.pyramid import Pyramid

Array = jax.Array


def check_patch_size(
  patch_size: int, *, smallest_side: int, where: str = 'image'
) -> None:
  """Raises ValueError unless the size is odd, positive and fits the image."""
  arrays.check_positive_int('patch_size', patch_size)
  if patch_size % 2 == 0:
    raise ValueError(
      f'`patch_size` must be odd, so that a patch has a centre pixel, got'
      f' {patch_size}.'
    )
  if patch_size > smallest_side:
    raise ValueError(
      f'`patch_size` {patch_size} is larger than the smallest side of the'
      f' {where}, {smallest_side}; give a larger image or a smaller patch.'
    )


def extract_patches(image: Array, *, patch_size: int, stride: int = 1) -> Array:
  """Extracts the patches of an image on a grid of positions.

  Positions are multiples of `stride`, so a stride above 1 may leave pixels at
  the bottom and right borders uncovered.

  Args:
    image: The image, [H, W, C].
    patch_size: Side P of a patch in pixels, odd.
    stride: Distance between neighbouring patches, in pixels.

  Returns:
    The patches, [rows, columns, P*P*C].

  Raises:
    ValueError: If a patch does not fit into the image.

  Example:
    >>> extract_patches(jnp.zeros((5, 6, 3)), patch_size=3).shape
    (3, 4, 27)
  """
  check_patch_size(patch_size, smallest_side=min(image.shape[:2]))
  arrays.check_positive_int('stride', stride)
  rows = range(0, image.shape[0] - patch_size + 1, stride)
  columns = range(0, image.shape[1] - patch_size + 1, stride)
  # XLA turns shifted views along one axis, then the other, into a few strided
  # copies: several times faster on CPU than a gather of small squares.
  image = jnp.concatenate(
    [image[:, dx : dx + columns[-1] + 1 : stride] for dx in range(patch_size)],
    axis=-1,
  )
  return jnp.concatenate(
    [image[dy : dy + rows[-1] + 1 : stride] for dy in range(patch_size)],
    axis=-1,
  )


def average_patches(
  patches: Array,
  *,
  size: tuple[int, int],
  patch_size: int,
  stride: int = 1,
  window: Array | None = None,
) -> Array:
  """Overlap-add: the weighted average of overlapping patches.

  The exact left inverse of `extract_patches` for any positive window.

  Args:
    patches: Patches in the layout of `extract_patches`, [rows, columns, P*P*C].
    size: Size (H, W) of the image.
    patch_size: Side P of a patch in pixels, odd.
    stride: Distance between neighbouring patches, in pixels.
    window: Weight of each pixel of a patch, [P, P], positive; None is uniform.

  Returns:
    The image, [H, W, C]; pixels that no patch covers are 0.

  Raises:
    ValueError: If the shapes are inconsistent.

  Example:
    >>> image = jnp.arange(30.0).reshape(5, 6, 1)
    >>> patches = extract_patches(image, patch_size=3)
    >>> average = average_patches(patches, size=(5, 6), patch_size=3)
    >>> bool(jnp.allclose(average, image))
    True
  """
  check_patch_size(patch_size, smallest_side=min(size))
  rows, columns, patch_dim = patches.shape
  expected = tuple((side - patch_size) // stride + 1 for side in size)
  if (rows, columns) != expected or patch_dim % patch_size**2:
    raise ValueError(
      f'`patches` of shape {patches.shape} do not come from an image of size'
      f' {size} with patch_size {patch_size} and stride {stride}: that gives'
      f' {expected} patches of a multiple of {patch_size**2} values.'
    )
  if window is None:
    window = jnp.ones((patch_size, patch_size))
  values = patches.reshape(rows, columns, patch_size**2, -1)
  total = jnp.zeros((*size, values.shape[-1]))
  weight = jnp.zeros((*size, 1))
  for index, (dy, dx) in enumerate(np.ndindex(patch_size, patch_size)):
    view = (
      slice(dy, dy + (rows - 1) * stride + 1, stride),
      slice(dx, dx + (columns - 1) * stride + 1, stride),
    )
    total = total.at[view].add(window[dy, dx] * values[:, :, index])
    weight = weight.at[view].add(window[dy, dx])
  return total / jnp.where(weight > 0, weight, 1.0)


def crop_patches(patches: Array, *, patch_size: int, size: int) -> Array:
  """Crops patches [N, P*P*C] to a square of odd side `size` at their centre."""
  margin = (patch_size - size) // 2
  inner = slice(margin, margin + size)
  square = patches.reshape(len(patches), patch_size, patch_size, -1)
  return square[:, inner, inner].reshape(len(patches), -1)


def gather_patches(
  pyramid: Pyramid, level: Array, row: Array, column: Array, *, patch_size: int
) -> Array:
  """Gathers patches at given levels and positions.

  Args:
    pyramid: The pyramid.
    level: Pyramid levels, [N] int32.
    row: Rows, [N] int32, in [0, height of the level - P].
    column: Columns, [N] int32, in [0, width of the level - P].
    patch_size: Side P of a patch in pixels.

  Returns:
    The patches, [N, P*P*C].
  """
  num_channels = pyramid.images.shape[-1]

  def gather_one(level: Array, row: Array, column: Array) -> Array:
    start = (level, row, column, jnp.zeros_like(row))
    size = (1, patch_size, patch_size, num_channels)
    return jax.lax.dynamic_slice(pyramid.images, start, size).reshape(-1)

  return jax.vmap(gather_one)(level, row, column)


def interpolate_patches(
  pyramid: Pyramid, level: Array, position: Array, *, patch_size: int
) -> Array:
  """Gathers patches at subpixel positions by cubic interpolation.

  The kernel is Keys's (1981, a = -1/2), exact at whole positions. At a border
  its weights are normalised over the pixels inside the image.

  Args:
    pyramid: The pyramid; its levels have at least P + 3 pixels a side.
    level: Pyramid levels, [N] int32.
    position: Row and column of the top left pixel, [N, 2], in [0, side - P].
    patch_size: Side P of a patch in pixels.

  Returns:
    The patches, [N, P*P*C].
  """
  block_size = patch_size + 3
  sides = jnp.stack([pyramid.heights, pyramid.widths], axis=-1)[level]
  start = jnp.floor(position).astype(jnp.int32) - 1
  start = jnp.clip(start, 0, sides - block_size)
  blocks = gather_patches(pyramid, level, *start.T, patch_size=block_size)
  blocks = blocks.reshape(len(level), block_size, block_size, -1)
  sample = (position - start)[:, :, None] + jnp.arange(patch_size)[None, None]
  pixels = jnp.arange(block_size, dtype=jnp.float32)
  weight = keys_cubic(sample[..., None] - pixels[None, None, None])
  weight = weight / jnp.sum(weight, axis=-1, keepdims=True)
  rows = jnp.einsum('npi,nijc->npjc', weight[:, 0], blocks)
  squares = jnp.einsum('nqj,npjc->npqc', weight[:, 1], rows)
  return squares.reshape(len(level), -1)


def keys_cubic(distance: Array) -> Array:
  """Keys's interpolation kernel (1981, eq. 15) at distances in pixels."""
  d = jnp.abs(distance)
  near = (1.5 * d - 2.5) * d * d + 1
  far = ((-0.5 * d + 2.5) * d - 4) * d + 2
  return jnp.where(d < 1, near, jnp.where(d < 2, far, 0.0))
