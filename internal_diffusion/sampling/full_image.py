"""From a denoiser of patches to one of images: unfold, denoise, overlap-add.

  D(x) = sum_p A_p^T W d(A_p x) / sum_p A_p^T W 1

where A_p cuts out the patch at position p and W is a Gaussian window. The
window is 0 where its weight would be negligible, so most patches need only the
pixels around their centre, the core. Patches at the border need all their
pixels, since no other patch covers the border.

The same holds for clips [T, H, W, C], whose patches are boxes.

A patch denoiser may weigh its patches by their own certainty instead. It may
also return other channels than it was given, such as a mean and a variance.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.data.patches import PatchShape
from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array

# Standard deviation of the window, relative to half a patch's side, and its
# smallest weight inside the core; the centre has weight 1.
_WINDOW_WIDTH, _SMALLEST_WEIGHT = 0.2, 1 / 50
_MAX_PATCHES = 16_384  # Number of patches on the device at once.


class Spots(NamedTuple):
  """Positions of patches in an image.

  Attributes:
    places: Row and column of their top left pixels from the origin, [N, 2]; of
      clips frame, row and column, [N, 3].
    origin: Row and column of the origin, [2] int32, or [3].
  """

  places: np.ndarray
  origin: Array


class Weighed(NamedTuple):
  """Denoised patches and their weights.

  Attributes:
    values: [N, P*P*C].
    weights: Weight of each patch, positive, [N].
  """

  values: Array
  weights: Array


# `denoise_fn(x [N, P*P*C], sigma, spots) -> denoised`.
SpotDenoiseFn = Callable[[Array, Array, Spots], Array | Weighed]


class PatchDenoiser(NamedTuple):
  """A denoiser of an image's patches.

  Attributes:
    whole_fn: `(x [N, P*P*C], sigma, spots) -> denoised [N, P*P*C]`, or
      `Weighed`.
    core_fn: The same, for the pixels of the core alone, [N, K*K*C].
    patch_size: Side P of a patch, odd, or its sides.
    core_size: Side K of the core, odd, at most P, or its sides.
    is_flat: Whether all pixels of a patch have the same weight, instead of a
      Gaussian window.
  """

  whole_fn: SpotDenoiseFn
  core_fn: SpotDenoiseFn
  patch_size: PatchShape
  core_size: PatchShape
  is_flat: bool = False

  def window(self, size: PatchShape) -> np.ndarray:
    """Weights of the pixels of the central square of a patch, [size, size]."""
    if self.is_flat:
      return np.ones(patches.sides_of(size), np.float32)
    return make_window(self.patch_size, size=size)


def make_window(
  patch_size: PatchShape, *, size: PatchShape | None = None
) -> np.ndarray:
  """Gaussian window of patches, cropped to the centre, [size, size]."""
  sides = patches.sides_of(patch_size)
  cropped = sides if size is None else patches.sides_of(size)
  window = np.ones((), np.float64)
  for side, own in zip(sides, cropped, strict=True):
    half, margin = side // 2, (side - own) // 2
    place = np.arange(-half, half + 1) / max(half, 1)
    profile = np.exp(-((place / _WINDOW_WIDTH) ** 2) / 2)
    window = np.multiply.outer(window, profile[margin : side - margin])
  return window.astype(np.float32)


def core_size_of(patch_size: PatchShape) -> PatchShape:
  """Side of the core: the square where the window is not negligible."""
  if isinstance(patch_size, tuple):
    return tuple(_core_side(side) for side in patch_size)
  return _core_side(patch_size)


def _core_side(side: int) -> int:
  half = side // 2
  width = _WINDOW_WIDTH * np.sqrt(-2 * np.log(_SMALLEST_WEIGHT))
  reach = int(np.ceil(half * width))
  return 2 * min(reach, half) + 1


def from_whole(
  whole_fn: Callable[[Array, Array, Spots], Array], *, patch_size: PatchShape
) -> PatchDenoiser:
  """A patch denoiser that computes cores by cropping whole patches."""
  core_size = core_size_of(patch_size)

  def core_fn(x: Array, sigma: Array, spots: Spots) -> Array:
    whole = whole_fn(x, sigma, spots)
    return patches.crop_patches(whole, patch_size=patch_size, size=core_size)

  return PatchDenoiser(whole_fn, core_fn, patch_size, core_size)


def lift(
  denoiser: PatchDenoiser,
  *,
  stride: PatchShape = 1,
  max_patches: int = _MAX_PATCHES,
) -> BoundDenoiseFn:
  """Lifts a patch denoiser to images [B, H, W, C], or to clips.

  Args:
    denoiser: Denoiser of patches.
    stride: Distance of neighbouring patches in pixels, at most the core's side,
      or one for each axis.
    max_patches: Number of patches on the device at once.

  Returns:
    `(x, sigma) -> denoised`; sigma is a scalar.

  Raises:
    ValueError: If the stride leaves pixels uncovered, or, when called, if the
      image is smaller than a patch.
  """
  arrays.check_positive_int('max_patches', max_patches)
  cores = patches.sides_of(denoiser.core_size)
  strides = patches.strides_of(stride, len(cores))
  if any(step > core for step, core in zip(strides, cores, strict=True)):
    raise ValueError(
      f'`stride` must be at most {denoiser.core_size}, the side of the core of'
      f' a patch of {denoiser.patch_size}, got {stride}.'
    )

  def one_image(x: Array, sigma: Array) -> Array:
    patches.check_patch_shape(denoiser.patch_size, x.shape[:-1])
    total = _add_inside(denoiser, x, sigma, strides, max_patches)
    total = _add_border(denoiser, x, sigma, strides, total)
    return total[..., :-1] / total[..., -1:]

  def denoise_fn(x: Array, sigma: Array) -> Array:
    return jax.lax.map(lambda image: one_image(image, sigma), x)

  return denoise_fn


def _add_inside(
  denoiser: PatchDenoiser,
  x: Array,
  sigma: Array,
  strides: tuple[int, ...],
  max_patches: int,
) -> Array:
  """Weighted sum of the cores of all patches, one strip of the image at a time.

  A strip is some rows of an image, or some frames of a clip. The last channel
  of the sum [H, W, C + 1] is the sum of the weights.
  """
  sides, cores = map(
    patches.sides_of, (denoiser.patch_size, denoiser.core_size)
  )
  size = x.shape[:-1]
  rows, *others = (
    (length - side) // step + 1
    for length, side, step in zip(size, sides, strides, strict=True)
  )
  per_strip = max(1, min(rows, max_patches // int(np.prod(others))))
  num_strips = -(-rows // per_strip)
  window = denoiser.window(denoiser.core_size)
  margins = [
    (side - core) // 2 for side, core in zip(sides, cores, strict=True)
  ]
  strip_height = (per_strip - 1) * strides[0] + sides[0]
  grid = (per_strip, *others)
  places = np.indices(grid).reshape(len(grid), -1).T * strides

  def weigh_strip(first: Array) -> Array:
    """Cores with weights [per_strip, columns, K, K, C + 1]."""
    top = first * strides[0]
    pixels = jax.lax.dynamic_slice_in_dim(x, top, strip_height)
    noisy = patches.extract_patches(
      pixels, patch_size=denoiser.patch_size, stride=strides
    )
    spots = Spots(places, jnp.stack([top] + [0] * len(others)))
    core = denoiser.core_fn(noisy.reshape(len(places), -1), sigma, spots)
    return _weigh(core, window).reshape(*grid, *cores, -1)

  def add_strip(strip: Array, total: Array) -> Array:
    # The last strip begins early enough to be whole; the rows that it repeats
    # have weight 0.
    first = jnp.minimum(strip * per_strip, rows - per_strip)
    top = first * strides[0]
    is_new = first + jnp.arange(per_strip) >= strip * per_strip
    found = weigh_strip(first)
    weighed = is_new.reshape(-1, *[1] * (found.ndim - 1)) * found
    part = _overlap_add(weighed, strides=strides)
    start: list[Array | int] = [top + margins[0], *margins[1:], 0]
    part += jax.lax.dynamic_slice(total, start, part.shape)
    return jax.lax.dynamic_update_slice(total, part, start)

  shape = jax.eval_shape(weigh_strip, jnp.int32(0))
  nothing = jnp.zeros((*size, shape.shape[-1]))
  return jax.lax.fori_loop(0, num_strips, add_strip, nothing)


def _weigh(denoised: Array | Weighed, window: np.ndarray) -> Array:
  """Patches [N, K*K*C] times their weights, and the weights as a channel.

  Returns:
    [N, K, K, C + 1].
  """
  weights = jnp.asarray(window)[None, ..., None]
  if isinstance(denoised, Weighed):
    own = denoised.weights.reshape(-1, *[1] * (window.ndim + 1))
    weights = own * weights
    denoised = denoised.values
  values = denoised.reshape(len(denoised), *window.shape, -1)
  one = (*[(0, 0)] * (values.ndim - 1), (0, 1))
  return weights * jnp.pad(values, one, constant_values=1.0)


def _overlap_add(values: Array, *, strides: tuple[int, ...]) -> Array:
  """Sum of squares [rows, columns, K, K, C] at their places in an image."""
  num_axes = len(strides)
  grid, sides = values.shape[:num_axes], values.shape[num_axes:-1]
  num_channels = values.shape[-1]
  # One pixel of all squares at a time; the gaps between squares are zeros.
  apart = [(0, 0, step - 1) for step in strides]
  by_pixel = jnp.moveaxis(
    values, range(num_axes, 2 * num_axes), range(num_axes)
  ).reshape(-1, *grid, num_channels)

  def add_pixel(index: Array, total: Array) -> Array:
    place = jnp.unravel_index(index, sides)
    spread = jax.lax.pad(by_pixel[index], 0.0, (*apart, (0, 0, 0)))
    start: list[Array | int] = [*place, 0]
    spread += jax.lax.dynamic_slice(total, start, spread.shape)
    return jax.lax.dynamic_update_slice(total, spread, start)

  whole = tuple(
    (count - 1) * step + side
    for count, step, side in zip(grid, strides, sides, strict=True)
  )
  nothing = jnp.zeros((*whole, num_channels))
  return jax.lax.fori_loop(0, len(by_pixel), add_pixel, nothing)


def border_positions(
  *size: int,
  patch_size: PatchShape,
  stride: PatchShape,
  along: Sequence[bool] | None = None,
) -> np.ndarray:
  """Top left pixels of the patches along the border, [N, 2] or [N, 3].

  Args:
    *size: Height and width of the image, or those of a clip after its length.
    patch_size: Side of a patch, or its sides.
    stride: Distance of neighbouring patches, or one for each axis.
    along: Whether each axis has a border at its ends; None is all of them.
  """
  sides = patches.sides_of(patch_size)
  strides = patches.strides_of(stride, len(size))
  along = [True] * len(size) if along is None else along
  last = [length - side for length, side in zip(size, sides, strict=True)]
  axes = [
    sorted({*range(0, end, step), end})
    for end, step in zip(last, strides, strict=True)
  ]
  places = np.stack(np.meshgrid(*axes, indexing='ij'), -1)
  places = places.reshape(-1, len(size))
  at_end = (places == 0) | (places == np.array(last))
  return places[np.any(at_end & np.array(along), axis=1)].astype(np.int32)


def _add_border(
  denoiser: PatchDenoiser,
  x: Array,
  sigma: Array,
  strides: tuple[int, ...],
  total: Array,
) -> Array:
  """Adds the whole patches along the border to the weighted sum.

  An axis has a border where the cores of all patches do not reach its ends.
  """
  sides, cores = map(
    patches.sides_of, (denoiser.patch_size, denoiser.core_size)
  )
  along = [
    step > 1 or core < side
    for side, core, step in zip(sides, cores, strides, strict=True)
  ]
  if not any(along):
    return total
  top_left = border_positions(
    *x.shape[:-1],
    patch_size=denoiser.patch_size,
    stride=strides,
    along=along,
  )
  inside = np.moveaxis(np.indices(sides), 0, -1)
  around = (slice(None), *[None] * len(sides))
  places = tuple(np.moveaxis(top_left[around] + inside[None], -1, 0))
  noisy = x[places]
  denoised = denoiser.whole_fn(
    noisy.reshape(len(top_left), -1),
    sigma,
    Spots(top_left, jnp.zeros(len(sides), jnp.int32)),
  )
  window = denoiser.window(denoiser.patch_size)
  return total.at[places].add(_weigh(denoised, window))
