"""From a denoiser of patches to one of images: unfold, denoise, overlap-add.

  D(x) = sum_p A_p^T W d(A_p x) / sum_p A_p^T W 1

where A_p cuts out the patch at position p and W is a Gaussian window. The
window is 0 where its weight would be negligible, so most patches need only the
pixels around their centre, the core. Patches at the border need all their
pixels, since no other patch covers the border.

A patch denoiser may weigh its patches by their own certainty instead. It may
also return other channels than it was given, such as a mean and a variance.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array

# Standard deviation of the window, relative to half a patch's side, and its
# smallest weight inside the core; the centre has weight 1.
_WINDOW_WIDTH, _SMALLEST_WEIGHT = 0.2, 1 / 50
_MAX_PATCHES = 16_384  # Number of patches on the device at once.


class Spots(NamedTuple):
  """Positions of patches in an image.

  Attributes:
    places: Row and column of their top left pixels from the origin, [N, 2].
    origin: Row and column of the origin, [2] int32.
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
    patch_size: Side P of a patch, odd.
    core_size: Side K of the core, odd, at most P.
    is_flat: Whether all pixels of a patch have the same weight, instead of a
      Gaussian window.
  """

  whole_fn: SpotDenoiseFn
  core_fn: SpotDenoiseFn
  patch_size: int
  core_size: int
  is_flat: bool = False

  def window(self, size: int) -> np.ndarray:
    """Weights of the pixels of the central square of a patch, [size, size]."""
    if self.is_flat:
      return np.ones((size, size), np.float32)
    return make_window(self.patch_size, size=size)


def make_window(patch_size: int, *, size: int | None = None) -> np.ndarray:
  """Gaussian window of patches, cropped to the centre, [size, size]."""
  half = patch_size // 2
  place = np.arange(-half, half + 1) / max(half, 1)
  profile = np.exp(-((place / _WINDOW_WIDTH) ** 2) / 2)
  margin = 0 if size is None else (patch_size - size) // 2
  profile = profile[margin : patch_size - margin]
  return np.outer(profile, profile).astype(np.float32)


def core_size_of(patch_size: int) -> int:
  """Side of the core: the square where the window is not negligible."""
  half = patch_size // 2
  width = _WINDOW_WIDTH * np.sqrt(-2 * np.log(_SMALLEST_WEIGHT))
  reach = int(np.ceil(half * width))
  return 2 * min(reach, half) + 1


def from_whole(
  whole_fn: Callable[[Array, Array, Spots], Array], *, patch_size: int
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
  stride: int = 1,
  max_patches: int = _MAX_PATCHES,
) -> BoundDenoiseFn:
  """Lifts a patch denoiser to images [B, H, W, C].

  Args:
    denoiser: Denoiser of patches.
    stride: Distance of neighbouring patches in pixels, at most the core's side.
    max_patches: Number of patches on the device at once.

  Returns:
    `(x, sigma) -> denoised`; sigma is a scalar.

  Raises:
    ValueError: If the stride leaves pixels uncovered, or, when called, if the
      image is smaller than a patch.
  """
  arrays.check_positive_int('max_patches', max_patches)
  arrays.check_positive_int('stride', stride)
  if stride > denoiser.core_size:
    raise ValueError(
      f'`stride` must be at most {denoiser.core_size}, the side of the core of'
      f' a patch of {denoiser.patch_size}, got {stride}.'
    )

  def one_image(x: Array, sigma: Array) -> Array:
    patches.check_patch_size(
      denoiser.patch_size, smallest_side=min(x.shape[:2])
    )
    total = _add_inside(denoiser, x, sigma, stride, max_patches)
    if stride > 1 or denoiser.core_size < denoiser.patch_size:
      total = _add_border(denoiser, x, sigma, stride, total)
    return total[..., :-1] / total[..., -1:]

  def denoise_fn(x: Array, sigma: Array) -> Array:
    return jax.lax.map(lambda image: one_image(image, sigma), x)

  return denoise_fn


def _add_inside(
  denoiser: PatchDenoiser,
  x: Array,
  sigma: Array,
  stride: int,
  max_patches: int,
) -> Array:
  """Weighted sum of the cores of all patches, one strip of rows at a time.

  The last channel of the sum [H, W, C + 1] is the sum of the weights.
  """
  patch_size, core_size = denoiser.patch_size, denoiser.core_size
  height, width, _ = x.shape
  rows, columns = (
    (side - patch_size) // stride + 1 for side in (height, width)
  )
  per_strip = max(1, min(rows, max_patches // columns))
  num_strips = -(-rows // per_strip)
  window = denoiser.window(core_size)
  margin = (patch_size - core_size) // 2
  strip_height = (per_strip - 1) * stride + patch_size
  places = np.indices((per_strip, columns)).reshape(2, -1).T * stride

  def weigh_strip(first: Array) -> Array:
    """Cores with weights [per_strip, columns, K, K, C + 1]."""
    top = first * stride
    pixels = jax.lax.dynamic_slice_in_dim(x, top, strip_height)
    noisy = patches.extract_patches(
      pixels, patch_size=patch_size, stride=stride
    )
    spots = Spots(places, jnp.stack([top, 0]))
    core = denoiser.core_fn(noisy.reshape(len(places), -1), sigma, spots)
    return _weigh(core, window).reshape(
      per_strip, columns, core_size, core_size, -1
    )

  def add_strip(strip: Array, total: Array) -> Array:
    # The last strip begins early enough to be whole; the rows that it repeats
    # have weight 0.
    first = jnp.minimum(strip * per_strip, rows - per_strip)
    top = first * stride
    is_new = first + jnp.arange(per_strip) >= strip * per_strip
    weighed = is_new[:, None, None, None, None] * weigh_strip(first)
    part = _overlap_add(weighed, stride=stride)
    start = (top + margin, margin, 0)
    part += jax.lax.dynamic_slice(total, start, part.shape)
    return jax.lax.dynamic_update_slice(total, part, start)

  shape = jax.eval_shape(weigh_strip, jnp.int32(0))
  nothing = jnp.zeros((height, width, shape.shape[-1]))
  return jax.lax.fori_loop(0, num_strips, add_strip, nothing)


def _weigh(denoised: Array | Weighed, window: np.ndarray) -> Array:
  """Patches [N, K*K*C] times their weights, and the weights as a channel.

  Returns:
    [N, K, K, C + 1].
  """
  weights = jnp.asarray(window)[None, :, :, None]
  if isinstance(denoised, Weighed):
    weights = denoised.weights[:, None, None, None] * weights
    denoised = denoised.values
  values = denoised.reshape(len(denoised), *window.shape, -1)
  one = ((0, 0), (0, 0), (0, 0), (0, 1))
  return weights * jnp.pad(values, one, constant_values=1.0)


def _overlap_add(values: Array, *, stride: int) -> Array:
  """Sum of squares [rows, columns, K, K, C] at their places in an image."""
  rows, columns, side, _, num_channels = values.shape
  size = tuple((count - 1) * stride + 1 for count in (rows, columns))
  # One pixel of all squares at a time; the gaps between squares are zeros.
  apart = (0, 0, stride - 1)
  by_pixel = jnp.moveaxis(values, (2, 3), (0, 1)).reshape(
    side**2, rows, columns, num_channels
  )

  def add_pixel(index: Array, total: Array) -> Array:
    place = jnp.divmod(index, side)
    spread = jax.lax.pad(by_pixel[index], 0.0, (apart, apart, (0, 0, 0)))
    start = (*place, 0)
    spread += jax.lax.dynamic_slice(total, start, spread.shape)
    return jax.lax.dynamic_update_slice(total, spread, start)

  whole = tuple(length + side - 1 for length in size)
  nothing = jnp.zeros((*whole, num_channels))
  return jax.lax.fori_loop(0, side**2, add_pixel, nothing)


def border_positions(
  height: int, width: int, *, patch_size: int, stride: int
) -> np.ndarray:
  """Top left pixels of the patches along the border, [N, 2]."""
  bottom, right = height - patch_size, width - patch_size
  rows, columns = (
    sorted({*range(0, last, stride), last}) for last in (bottom, right)
  )
  found = {(row, column) for row in (0, bottom) for column in columns}
  found |= {(row, column) for row in rows for column in (0, right)}
  return np.array(sorted(found), np.int32)


def _add_border(
  denoiser: PatchDenoiser, x: Array, sigma: Array, stride: int, total: Array
) -> Array:
  """Adds the whole patches along the border to the weighted sum."""
  side = denoiser.patch_size
  top_left = border_positions(*x.shape[:2], patch_size=side, stride=stride)
  inside = np.moveaxis(np.indices((side, side)), 0, -1)
  rows, columns = np.moveaxis(top_left[:, None, None] + inside[None], -1, 0)
  noisy = x[rows, columns]
  denoised = denoiser.whole_fn(
    noisy.reshape(len(top_left), -1),
    sigma,
    Spots(top_left, jnp.zeros(2, jnp.int32)),
  )
  return total.at[rows, columns].add(_weigh(denoised, denoiser.window(side)))
