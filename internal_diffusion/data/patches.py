"""Patches: dense extraction, its exact inverse, and gathering by position.

A patch is a square of P x P pixels with all channels, flattened to a vector of
length P*P*C in row, column, channel order. Its position (row, column) is its
top left pixel; an image [H, W, C] has (H - P + 1) x (W - P + 1) patches.

Where sides are given instead of one side, as in (3, 7, 7), a patch is a box: of
a clip [T, H, W, C], 3 frames of 7 x 7 pixels. Extraction, the average and the
crop then have an axis more.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data.pyramid import Pyramid

Array = jax.Array
# Side P of a square patch, or the sides of a box.
PatchShape = int | tuple[int, ...]


def sides_of(size: PatchShape) -> tuple[int, ...]:
  """The sides of a square of side P, or of a box: (7, 7) of 7."""
  return size if isinstance(size, tuple) else (size, size)


def check_patch_shape(patch_size: PatchShape, size: tuple[int, ...]) -> None:
  """Raises ValueError unless a patch fits an image or a clip of this size."""
  sides = sides_of(patch_size)
  if len(sides) != len(size):
    raise ValueError(
      f'`patch_size` must have {len(size)} sides, one for each axis of an image'
      f' of size {size}, got {sides}.'
    )
  if not isinstance(patch_size, tuple):
    check_patch_size(patch_size, smallest_side=min(size))
    return
  for side, own in zip(sides, size, strict=True):
    check_patch_size(side, smallest_side=own)


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


def extract_patches(
  image: Array | np.ndarray,
  *,
  patch_size: PatchShape,
  stride: PatchShape = 1,
) -> Array:
  """Extracts the patches of an image on a grid of positions.

  Positions are multiples of `stride`, so a stride above 1 may leave pixels at
  the bottom and right borders uncovered.

  Args:
    image: The image, [H, W, C], or a clip, [T, H, W, C].
    patch_size: Side P of a patch in pixels, odd, or its sides.
    stride: Distance between neighbouring patches, in pixels, or one for each
      axis.

  Returns:
    The patches, [rows, columns, P*P*C], or with as many axes as the image.

  Raises:
    ValueError: If a patch does not fit into the image.

  Example:
    >>> extract_patches(jnp.zeros((5, 6, 3)), patch_size=3).shape
    (3, 4, 27)
    >>> extract_patches(jnp.zeros((4, 5, 6, 3)), patch_size=(3, 3, 3)).shape
    (2, 3, 4, 81)
  """
  check_patch_shape(patch_size, image.shape[:-1])
  sides, strides = sides_of(patch_size), strides_of(stride, image.ndim - 1)
  # XLA turns shifted views along one axis, then the other, into a few strided
  # copies: several times faster on CPU than a gather of small squares.
  for axis in reversed(range(len(sides))):
    last = (image.shape[axis] - sides[axis]) // strides[axis] * strides[axis]
    views = (slice(d, d + last + 1, strides[axis]) for d in range(sides[axis]))
    before = (slice(None),) * axis
    image = jnp.concatenate([image[*before, view] for view in views], axis=-1)
  return jnp.asarray(image)


def strides_of(stride: PatchShape, num_axes: int) -> tuple[int, ...]:
  """The stride along each axis; raises ValueError unless it is positive."""
  strides = stride if isinstance(stride, tuple) else (stride,) * num_axes
  for own in strides:
    arrays.check_positive_int('stride', own)
  return strides


def average_patches(
  patches: Array,
  *,
  size: tuple[int, ...],
  patch_size: PatchShape,
  stride: PatchShape = 1,
  window: Array | None = None,
) -> Array:
  """Overlap-add: the weighted average of overlapping patches.

  The exact left inverse of `extract_patches` for any positive window.

  Args:
    patches: Patches in the layout of `extract_patches`, [rows, columns, P*P*C].
    size: Size (H, W) of the image, or (T, H, W) of the clip.
    patch_size: Side P of a patch in pixels, odd, or its sides.
    stride: Distance between neighbouring patches, in pixels, or one for each
      axis.
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
  check_patch_shape(patch_size, size)
  sides, strides = sides_of(patch_size), strides_of(stride, len(size))
  num_pixels = int(np.prod(sides))
  *grid, patch_dim = patches.shape
  expected = tuple(
    (length - side) // step + 1
    for length, side, step in zip(size, sides, strides, strict=True)
  )
  if tuple(grid) != expected or patch_dim % num_pixels:
    raise ValueError(
      f'`patches` of shape {patches.shape} do not come from an image of size'
      f' {size} with patch_size {patch_size} and stride {stride}: that gives'
      f' {expected} patches of a multiple of {num_pixels} values.'
    )
  if window is None:
    window = jnp.ones(sides)
  values = patches.reshape(*grid, num_pixels, -1)
  total = jnp.zeros((*size, values.shape[-1]))
  weight = jnp.zeros((*size, 1))
  for index, place in enumerate(np.ndindex(sides)):
    view = tuple(_views(place, expected, strides))
    total = total.at[view].add(window[place] * values[..., index, :])
    weight = weight.at[view].add(window[place])
  return total / jnp.where(weight > 0, weight, 1.0)


def _views(
  place: tuple[int, ...], counts: tuple[int, ...], strides: tuple[int, ...]
) -> Iterator[slice]:
  """One pixel of all patches, along each axis of the image."""
  for start, count, step in zip(place, counts, strides, strict=True):
    yield slice(start, start + (count - 1) * step + 1, step)


def crop_patches(
  patches: Array, *, patch_size: PatchShape, size: PatchShape
) -> Array:
  """Crops patches [N, P*P*C] to a square of odd side `size` at their centre."""
  sides = sides_of(patch_size)
  inner = [
    slice((side - own) // 2, (side + own) // 2)
    for side, own in zip(sides, sides_of(size), strict=True)
  ]
  boxes = patches.reshape(len(patches), *sides, -1)
  return boxes[:, *inner].reshape(len(patches), -1)


def gather_patches(
  pyramid: Pyramid, level: Array, *position: Array, patch_size: int
) -> Array:
  """Gathers patches at given levels and positions.

  Args:
    pyramid: The pyramid.
    level: Pyramid levels, [N] int32.
    *position: Rows [N] int32 in [0, height of the level - P], and columns [N]
      in [0, width - P]; of a clip frames [N] before both.
    patch_size: Side P of a patch in pixels; in a clip it is one frame deep.

  Returns:
    The patches, [N, P*P*C].
  """
  num_channels = pyramid.images.shape[-1]
  frames = (1,) * (len(position) - 2)

  def gather_one(level: Array, *place: Array) -> Array:
    start = (level, *place, jnp.zeros_like(level))
    size = (1, *frames, patch_size, patch_size, num_channels)
    return jax.lax.dynamic_slice(pyramid.images, start, size).reshape(-1)

  return jax.vmap(gather_one)(level, *position)


def interpolate_patches(
  pyramid: Pyramid, level: Array, position: Array, *, patch_size: int
) -> Array:
  """Gathers patches at subpixel positions by cubic interpolation.

  The kernel is Keys's (1981, a = -1/2), exact at whole positions. At a border
  its weights are normalised over the pixels inside the image.

  Args:
    pyramid: The pyramid; its levels have at least P + 3 pixels a side.
    level: Pyramid levels, [N] int32.
    position: Row and column of the top left pixel, [N, 2], in [0, side - P]; of
      a clip the frame before both, a whole number.
    patch_size: Side P of a patch in pixels.

  Returns:
    The patches, [N, P*P*C].
  """
  block_size = patch_size + 3
  sides = jnp.stack([pyramid.heights, pyramid.widths], axis=-1)[level]
  frame, position = position[:, :-2].astype(jnp.int32), position[:, -2:]
  start = jnp.floor(position).astype(jnp.int32) - 1
  start = jnp.clip(start, 0, sides - block_size)
  blocks = gather_patches(
    pyramid, level, *frame.T, *start.T, patch_size=block_size
  )
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
