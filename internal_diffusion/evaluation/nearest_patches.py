"""Exact nearest-neighbour search between the patches of two images."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.data import image_io, patches
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

# Neighbours kept for the exact comparison, more than one because of rounding.
_NUM_CANDIDATES = 4
# By default GPUs round float32 products to a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST


class NearestPatches(NamedTuple):
  """The nearest patch in one image for each query patch of another.

  Attributes:
    query: Row and column of the query patches, [N, 2].
    position: Row and column of the nearest patches, [N, 2]; the first of
      several at the same distance.
    distance: Distances, root mean square per value, [N].
  """

  query: np.ndarray
  position: np.ndarray
  distance: np.ndarray


def check_images(
  generated: Sequence[ArrayLike], reference: ArrayLike, *, patch_size: int = 7
) -> tuple[list[np.ndarray], np.ndarray]:
  """Checks images and converts them to float32.

  Args:
    generated: Images, [H, W, C] in [-1, 1], of any sizes.
    reference: Reference image, [H, W, C] in [-1, 1].
    patch_size: Side P of a patch in pixels, odd.

  Returns:
    The generated images, and the reference.

  Raises:
    ValueError: If there is no generated image, one is invalid or has another
      number of channels than the reference, or a patch does not fit.
  """
  if not len(generated):
    raise ValueError('`generated` must hold at least one image, got none.')
  real = image_io.check_image(reference, name='reference')
  named = {f'generated[{i}]': image for i, image in enumerate(generated)}
  made = [image_io.check_image(x, name=name) for name, x in named.items()]
  for name, image in zip(['reference', *named], [real, *made], strict=True):
    patches.check_patch_size(
      patch_size, smallest_side=min(image.shape[:2]), where=f'image `{name}`'
    )
    if image.shape[-1] != real.shape[-1]:
      raise ValueError(
        f'`{name}` and `reference` must have the same channels, got'
        f' {image.shape[-1]} and {real.shape[-1]}.'
      )
  return made, real


@with_own_settings
def find_nearest_patches(
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  query_stride: int = 3,
  query_chunk: int = 1024,
  reference_chunk: int = 4096,
  progress: bool = False,
) -> NearestPatches:
  """Finds the nearest reference patch for patches of a generated image.

  The search is exact. |q - r|^2 = |q|^2 + |r|^2 - 2 q.r turns it into a matrix
  product, which loses small distances by rounding. So it only selects
  candidates; their distances are computed from the differences.

  Args:
    generated: Generated image, [H, W, C] in [-1, 1].
    reference: Reference image, [H, W, C] in [-1, 1], of any size.
    patch_size: Side P of a patch in pixels, odd.
    query_stride: Step between query patches, in reading order; 1 is all.
    query_chunk: Number of query patches at once.
    reference_chunk: Number of reference patches at once.
    progress: Whether to show a progress bar for a long search.

  Returns:
    Positions and distances.

  Raises:
    ValueError: If an argument is invalid.
  """
  (made,), real = check_images([generated], reference, patch_size=patch_size)
  arrays.check_positive_int('query_stride', query_stride)
  arrays.check_positive_int('query_chunk', query_chunk)
  arrays.check_positive_int('reference_chunk', reference_chunk)
  queries = all_vectors(made, patch_size)[::query_stride]
  bank = all_vectors(real, patch_size)
  centre = bank.mean(axis=0, keepdims=True)  # Lowers rounding errors.
  tiles = _tiles(bank - centre, min(reference_chunk, len(bank)))
  query_chunk = min(query_chunk, len(queries))
  starts = range(0, len(queries), query_chunk)
  indices, squares = [], []
  for start in tqdm(
    starts, desc='nearest patches', delay=2, leave=False, disable=not progress
  ):
    chunk = queries[start : start + query_chunk]
    candidates = _candidates(chunk - centre, tiles, size=query_chunk)
    exact = np.mean((bank[candidates] - chunk[:, None]) ** 2, axis=-1)
    best = np.argmin(exact, axis=1)[:, None]
    indices.append(np.take_along_axis(candidates, best, axis=1)[:, 0])
    squares.append(np.take_along_axis(exact, best, axis=1)[:, 0])
  query = np.arange(len(queries)) * query_stride
  return NearestPatches(
    query=_positions(query, made, patch_size),
    position=_positions(np.concatenate(indices), real, patch_size),
    distance=np.sqrt(np.concatenate(squares)),
  )


def all_vectors(image: np.ndarray, patch_size: int) -> np.ndarray:
  """All patches of an image in reading order, [N, D]."""
  window = (patch_size, patch_size, image.shape[-1])
  views = np.lib.stride_tricks.sliding_window_view(image, window)
  return views.reshape(-1, np.prod(window))


def _positions(
  indices: np.ndarray, image: np.ndarray, patch_size: int
) -> np.ndarray:
  """Row and column of patches with given numbers in reading order, [N, 2]."""
  num_columns = image.shape[1] - patch_size + 1
  return np.stack(np.divmod(indices, num_columns), axis=-1)


def _tiles(vectors: np.ndarray, size: int) -> list[tuple[Array, Array, Array]]:
  """Divides rows into tiles of one size: vectors, squared norms, row numbers.

  The padding rows of the last tile have an infinite norm.
  """
  tiles = []
  for start in range(0, len(vectors), size):
    tile = vectors[start : start + size]
    missing = size - len(tile)
    norms = np.pad(
      np.sum(tile**2, axis=1), (0, missing), constant_values=np.inf
    )
    tile = np.pad(tile, ((0, missing), (0, 0)))
    rows = np.arange(start, start + size, dtype=np.int32)
    tiles.append((jnp.asarray(tile), jnp.asarray(norms), jnp.asarray(rows)))
  return tiles


def _candidates(
  queries: np.ndarray, tiles: list[tuple[Array, Array, Array]], *, size: int
) -> np.ndarray:
  """Row numbers of the candidates of each query, nearest first, [N, 4]."""
  # Padded to one size, so that the last chunk compiles nothing.
  padded = jnp.asarray(np.pad(queries, ((0, size - len(queries)), (0, 0))))
  shape = (size, _NUM_CANDIDATES)
  best = jnp.full(shape, -jnp.inf), jnp.zeros(shape, jnp.int32)
  for tile in tiles:
    best = _nearer(best, padded, tile)
  return np.asarray(best[1])[: len(queries)]


@jax.jit
def _nearer(
  best: tuple[Array, Array],
  queries: Array,
  tile: tuple[Array, Array, Array],
) -> tuple[Array, Array]:
  """Merges a tile's candidates into scores and row numbers, nearest first."""
  vectors, norms, rows = tile
  products = jnp.matmul(queries, vectors.T, precision=_EXACT)
  scores, kept = jax.lax.top_k(
    2 * products - norms[None], min(_NUM_CANDIDATES, len(vectors))
  )
  scores = jnp.concatenate([best[0], scores], axis=1)
  indices = jnp.concatenate([best[1], rows[kept]], axis=1)
  scores, kept = jax.lax.top_k(scores, _NUM_CANDIDATES)
  return scores, jnp.take_along_axis(indices, kept, axis=1)


def vectors_at(
  image: np.ndarray, positions: np.ndarray, patch_size: int
) -> np.ndarray:
  """Patches of an image at given rows and columns [N, 2], [N, D]."""
  window = (patch_size, patch_size, image.shape[-1])
  views = np.lib.stride_tricks.sliding_window_view(image, window)
  return views[positions[:, 0], positions[:, 1]].reshape(len(positions), -1)
