"""Groups of similar patches of an image: search, and putting estimates back.

A grid of reference patches covers the image. Neighbouring references form a
tile, which has one search window: all patches whose top left pixel lies in a
rectangle around the tile. The distances of all references of a tile to all
patches of its window are one matrix product,

  |a - b|^2 = |a|^2 - 2 a . b + |b|^2,

and a group is a reference and the patches nearest to it (Buades, Coll & Morel
2005; Dabov et al. 2007). Tiles are visited in turn, so memory is that of a few
windows. Windows at a border are moved inwards, not cut, so that all groups have
one size.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import patches

Array = jax.Array

_TILE = 4  # References along a side of a tile: their windows overlap by 3/4.
_TILES_AT_A_TIME = 4


class Groups(NamedTuple):
  """The groups of one tile; N groups of K patches of D numbers.

  Attributes:
    noisy: Patches of the noisy image, [N, K, D].
    guide: The same patches of the first estimate, [N, K, D], or None.
    variance: Mean noise variance of a group's pixels, [N].
  """

  noisy: Array
  guide: Array | None
  variance: Array

  def members(self) -> Array:
    """Patches of the best image there is, [N, K, D]."""
    return self.noisy if self.guide is None else self.guide


class GroupEstimate(NamedTuple):
  """Estimates of the clean patches of groups.

  Attributes:
    mean: Estimates, [N, K, D].
    variance: Expected squared error of a pixel of each estimate, [N, K].
    weight: Weight of each estimate where estimates overlap, [N, K].
  """

  mean: Array
  variance: Array
  weight: Array


class _Axis(NamedTuple):
  """References and windows along one axis of the image, in tiles.

  Attributes:
    references: Positions relative to the start of the window, [tiles, T].
    starts: Starts of the windows, [tiles].
    size: Number of patches along a window.
  """

  references: np.ndarray
  starts: np.ndarray
  size: int


def _axis(num_positions: int, stride: int, radius: int) -> _Axis:
  """Lays out references and windows along an axis of `num_positions` patches.

  References are at most `stride` apart; the first and last patch are among
  them.
  """
  tile = _TILE
  num = -(-((num_positions - 2) // stride + 2) // tile) * tile
  if num > num_positions:
    num, tile = num_positions, 1
  positions = np.rint(np.linspace(0, num_positions - 1, num)).astype(int)
  positions = positions.reshape(-1, tile)
  first, last = positions[:, 0], positions[:, -1]
  size = min(num_positions, 2 * radius + 1 + int(np.max(last - first)))
  starts = (first + last) // 2 - size // 2
  starts = np.clip(starts, 0, num_positions - size)
  return _Axis(positions - starts[:, None], starts, size)


def smallest_window(
  size: tuple[int, int], *, patch_size: int, radius: int
) -> int:
  """Number of patches in the window of a reference, for an image (H, W)."""
  sides = [min(side - patch_size + 1, 2 * radius + 1) for side in size]
  return sides[0] * sides[1]


def nearest_patches(patches: Array, references: Array, num: int) -> Array:
  """Indices of the patches nearest to each reference, itself the first.

  Args:
    patches: All patches of a window, [M, D].
    references: Indices of the references, [N] int32.
    num: Number K of patches of a group.

  Returns:
    Indices, [N, K] int32, by increasing distance.
  """
  # Distances are differences of products, so numbers are kept small.
  centred = patches - jnp.mean(patches, axis=0)[None]
  squares = jnp.sum(centred**2, axis=1)
  distance = squares[None] - 2 * centred[references] @ centred.T
  itself = jnp.arange(len(references)), references
  distance = distance.at[itself].set(-jnp.inf)
  return jax.lax.top_k(-distance, num)[1]


def map_groups(
  estimate: Callable[[Groups], GroupEstimate],
  noisy: Array,
  noise_variance: Array,
  guide: Array | None,
  *,
  patch_size: int,
  num_similar: int,
  radius: int,
  stride: int,
) -> tuple[Array, Array]:
  """Estimates an image from its groups of similar patches.

  Args:
    estimate: Function from groups to estimates of their clean patches.
    noisy: Noisy image, [H, W, C].
    noise_variance: Variance of the noise, [H, W, C].
    guide: Image that patches are compared in, [H, W, C]; None compares them in
      the noisy image.
    patch_size: Side P of a patch in pixels, odd.
    num_similar: Number K of patches of a group.
    radius: Largest distance of a similar patch along rows or columns, in
      pixels; a few more for some references.
    stride: Largest distance of neighbouring references, in pixels.

  Returns:
    The weighted average of all estimates of each pixel, and of their variances,
    each [H, W, C].
  """
  height, width, channels = noisy.shape
  rows = _axis(height - patch_size + 1, stride, radius)
  columns = _axis(width - patch_size + 1, stride, radius)
  starts, references = _tiles(rows, columns)
  shape = rows.size, columns.size
  outer = shape[0] + patch_size - 1, shape[1] + patch_size - 1, channels
  images = [noisy, noise_variance, *([] if guide is None else [guide])]

  def one_tile(tile: tuple[Array, Array]) -> Array:
    start, reference = tile
    corner = start[0], start[1], 0
    windows = [jax.lax.dynamic_slice(image, corner, outer) for image in images]
    flat = [
      patches.extract_patches(window, patch_size=patch_size).reshape(
        shape[0] * shape[1], -1
      )
      for window in windows
    ]
    index = nearest_patches(flat[2 * (len(flat) - 2)], reference, num_similar)
    variance = jnp.mean(jnp.mean(flat[1], axis=1)[index], axis=1)
    members = None if guide is None else flat[2][index]
    found = estimate(Groups(flat[0][index], members, variance))
    return _overlap_add(found, index, shape, patch_size)

  totals = jax.lax.map(
    one_tile,
    (jnp.array(starts), jnp.array(references)),
    batch_size=_TILES_AT_A_TIME,
  )
  total = _add_windows(totals, jnp.array(starts), (height, width))
  weight = total[..., -1:]
  mean = total[..., :channels] / weight
  variance = jnp.broadcast_to(total[..., channels:-1] / weight, mean.shape)
  return mean, variance


def _tiles(rows: _Axis, columns: _Axis) -> tuple[np.ndarray, np.ndarray]:
  """Starts of windows [tiles, 2], and references in them [tiles, N]."""
  starts = np.stack(
    np.meshgrid(rows.starts, columns.starts, indexing='ij'), axis=-1
  )
  references = (
    rows.references[:, None, :, None] * columns.size
    + columns.references[None, :, None, :]
  )
  num_tiles = len(rows.starts) * len(columns.starts)
  return starts.reshape(-1, 2), references.reshape(num_tiles, -1)


def _overlap_add(
  found: GroupEstimate, index: Array, shape: tuple[int, int], patch_size: int
) -> Array:
  """Weighted sums of estimates over a window.

  Returns:
    Weighted means, weighted variance and weight, [rows, columns, C + 2].
  """
  dim = found.mean.shape[-1]
  channels = dim // patch_size**2
  weight = found.weight[..., None]
  values = jnp.concatenate(
    [weight * found.mean, weight * found.variance[..., None], weight], axis=-1
  ).reshape(-1, dim + 2)
  # First sums for each patch of the window, then for each pixel.
  sums = jnp.zeros((shape[0] * shape[1], dim + 2))
  sums = sums.at[index.reshape(-1)].add(values).reshape(*shape, dim + 2)
  total = jnp.zeros(
    (shape[0] + patch_size - 1, shape[1] + patch_size - 1, channels + 2)
  )
  for place, (dy, dx) in enumerate(np.ndindex(patch_size, patch_size)):
    pixel = sums[..., place * channels : (place + 1) * channels]
    part = jnp.concatenate([pixel, sums[..., dim:]], axis=-1)
    total = total.at[dy : dy + shape[0], dx : dx + shape[1]].add(part)
  return total


def _add_windows(totals: Array, starts: Array, size: tuple[int, int]) -> Array:
  """Adds windows [tiles, h, w, V] into an image [H, W, V]."""

  def add(tile: Array, image: Array) -> Array:
    corner = starts[tile, 0], starts[tile, 1], 0
    window = jax.lax.dynamic_slice(image, corner, totals.shape[1:])
    return jax.lax.dynamic_update_slice(image, window + totals[tile], corner)

  image = jnp.zeros((*size, totals.shape[-1]))
  return jax.lax.fori_loop(0, len(totals), add, image)
