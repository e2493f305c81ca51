"""Exact nearest-neighbour search between patches."""

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

# Neighbours kept for the exact comparison, more than two because of rounding.
_NUM_CANDIDATES = 8
# By default GPUs round float32 products to a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST


class NearestPatches(NamedTuple):
  """The nearest patch in one image for each query patch of another.

  Attributes:
    query: Row and column of the query patches, [N, 2].
    position: Row and column of the nearest patches, the first of several at the
      same distance, [N, 2].
    distance: Distances, root mean square per value, [N].
  """

  query: np.ndarray
  position: np.ndarray
  distance: np.ndarray


def check_images(
  generated: Sequence[ArrayLike], reference: ArrayLike, *, patch_size: int = 7
) -> tuple[list[np.ndarray], np.ndarray]:
  """Checks images [H, W, C] in [-1, 1] and converts them to float32.

  Raises ValueError if there is no generated image, one is invalid or has
  another number of channels than the reference, or a patch does not fit.
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


def grey(image: np.ndarray) -> np.ndarray:
  """Mean over the channels of an image, float64 [H, W]."""
  return image.astype(np.float64).mean(axis=-1)


@with_own_settings
def find_nearest_patches(
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  query_stride: int = 3,
  progress: bool = False,
) -> NearestPatches:
  """Finds the nearest reference patch for patches of a generated image.

  Args:
    generated: Generated image, [H, W, C] in [-1, 1].
    reference: Reference image, [H, W, C] in [-1, 1], of any size.
    patch_size: Side P of a patch in pixels, odd.
    query_stride: Step between query patches, in reading order; 1 is all.
    progress: Whether to show a progress bar for a long search.

  Raises:
    ValueError: If an argument is invalid.
  """
  (made,), real = check_images([generated], reference, patch_size=patch_size)
  arrays.check_positive_int('query_stride', query_stride)
  queries = all_vectors(made, patch_size)[::query_stride]
  indices, squares = nearest_vectors(
    queries, all_vectors(real, patch_size), progress=progress
  )
  query = np.arange(len(queries)) * query_stride
  return NearestPatches(
    query=_positions(query, made, patch_size),
    position=_positions(indices[:, 0], real, patch_size),
    distance=np.sqrt(squares[:, 0]),
  )


def nearest_vectors(
  queries: np.ndarray,
  bank: np.ndarray,
  *,
  query_chunk: int = 1024,
  bank_chunk: int = 4096,
  progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the nearest rows of a bank by exact search.

  |q - r|^2 = |q|^2 + |r|^2 - 2 q.r turns the search into a matrix product,
  which loses small distances by rounding. So it only selects candidates; their
  distances are computed from the differences.

  Returns row numbers [N, K] and mean squared differences [N, K] of the nearest
  K = min(8, M) rows, nearest first, for queries [N, D] and a bank [M, D].
  """
  centre = bank.mean(axis=0, keepdims=True)  # Lowers rounding errors.
  tiles = _tiles(bank - centre, min(bank_chunk, len(bank)))
  size = min(query_chunk, len(queries))
  shape = (size, min(_NUM_CANDIDATES, len(bank)))
  indices, squares = [], []
  for start in tqdm(
    range(0, len(queries), size),
    desc='nearest patches',
    delay=2,
    leave=False,
    disable=not progress,
  ):
    chunk = queries[start : start + size]
    # Padded to one size, so that the last chunk compiles nothing.
    padded = np.pad(chunk - centre, ((0, size - len(chunk)), (0, 0)))
    best = jnp.full(shape, -jnp.inf), jnp.zeros(shape, jnp.int32)
    for tile in tiles:
      best = _nearer(best, padded, tile)
    candidates = np.asarray(best[1])[: len(chunk)]
    exact = np.mean((bank[candidates] - chunk[:, None]) ** 2, axis=-1)
    order = np.argsort(exact, axis=1, kind='stable')
    indices.append(np.take_along_axis(candidates, order, axis=1))
    squares.append(np.take_along_axis(exact, order, axis=1))
  return np.concatenate(indices), np.concatenate(squares)


def all_vectors(image: np.ndarray, patch_size: int) -> np.ndarray:
  """All patches of an image in reading order, [N, D]."""
  return _windows(image, patch_size).reshape(-1, patch_size**2 * image.shape[2])


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
  missing = -len(vectors) % size
  norms = np.pad(
    np.sum(vectors**2, axis=1), (0, missing), constant_values=np.inf
  )
  padded = np.pad(vectors, ((0, missing), (0, 0)))
  rows = np.arange(len(padded), dtype=np.int32)
  parts = (
    jnp.asarray(x).reshape(-1, size, *x.shape[1:])
    for x in (padded, norms, rows)
  )
  return list(zip(*parts, strict=True))


@jax.jit
def _nearer(
  best: tuple[Array, Array], queries: Array, tile: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
  """Merges a tile's candidates into scores and row numbers, nearest first."""
  vectors, norms, rows = tile
  num = best[0].shape[1]
  products = jnp.matmul(queries, vectors.T, precision=_EXACT)
  scores, kept = jax.lax.top_k(
    2 * products - norms[None], min(num, len(vectors))
  )
  scores = jnp.concatenate([best[0], scores], axis=1)
  indices = jnp.concatenate([best[1], rows[kept]], axis=1)
  scores, kept = jax.lax.top_k(scores, num)
  return scores, jnp.take_along_axis(indices, kept, axis=1)


def vectors_at(
  image: np.ndarray, positions: np.ndarray, patch_size: int
) -> np.ndarray:
  """Patches of an image at given rows and columns [N, 2], [N, D]."""
  found = _windows(image, patch_size)[*positions.T]
  return found.reshape(len(positions), -1)


def _windows(image: np.ndarray, patch_size: int) -> np.ndarray:
  window = (patch_size, patch_size, image.shape[2])
  return np.lib.stride_tricks.sliding_window_view(image, window)
