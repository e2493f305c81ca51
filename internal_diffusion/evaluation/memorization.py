"""Memorization: fraction of generated patches that copy a training patch.

Distances are root mean squares per value: 0.0078 is one grey level of an 8-bit
image. A small distance is not enough for a copy, because in a flat area every
good patch is close to many training patches. A copy is closer to *one* training
patch than the training patches are to each other. The ratio test compares the
nearest distance with a fraction of the second nearest (Lowe 2004, section 7.1,
for matches of local features; Yoon et al. 2023 with the fraction 1/3 for
memorization by diffusion models). Somepalli et al. 2023 measure copies with
learnt features, which short vectors do not need.

Equal training patches count as one; otherwise a patch that occurs twice would
hide its copies. Near duplicates are kept, so that a generated patch of a flat
area is not a copy.

References:
  Lowe 2004, Distinctive image features from scale-invariant keypoints.
  Somepalli et al. 2023, Diffusion art or digital forgery?
  Yoon et al. 2023, Diffusion probabilistic models generalize when they fail to
    memorize.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.evaluation import distances
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

# Neighbours kept for the exact comparison, more than two because of rounding.
_NUM_CANDIDATES = 8
# By default GPUs round float32 products to a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST


class NearestDistances(NamedTuple):
  """Distances to the two nearest training patches, RMS per value.

  Attributes:
    first: Distance to the nearest training patch, [N].
    second: Distance to the nearest training patch that differs from it, [N].
  """

  first: np.ndarray
  second: np.ndarray


@with_own_settings
def nearest_distances(
  queries: ArrayLike,
  training: ArrayLike,
  *,
  leave_one_out: bool = False,
  query_chunk: int = 512,
  training_chunk: int = 4096,
) -> NearestDistances:
  """Distances of each query to its two nearest training patches.

  Args:
    queries: Patches, [N, P, P, C] or [N, D].
    training: Training patches, [M, P, P, C] or [M, D].
    leave_one_out: Whether to skip a training patch that equals the query, for
      queries that are training patches themselves.
    query_chunk: Number of queries at once.
    training_chunk: Number of training patches at once.

  Returns:
    The distances.

  Raises:
    ValueError: If an argument is invalid, or there are fewer than three
      different training patches.
  """
  arrays.check_positive_int('query_chunk', query_chunk)
  arrays.check_positive_int('training_chunk', training_chunk)
  patches, bank = distances.as_vectors(
    queries=queries, training=training, min_patches=1
  )
  bank = _distinct(bank)
  if len(bank) < 3:
    raise ValueError(
      f'`training` must hold at least 3 different patches, got {len(bank)}.'
    )
  squares = _two_nearest(
    jnp.asarray(patches),
    jnp.asarray(bank),
    leave_one_out=leave_one_out,
    query_chunk=query_chunk,
    training_chunk=min(training_chunk, len(bank)),
  )
  first, second = np.sqrt(np.asarray(squares) / bank.shape[1]).T
  return NearestDistances(first, second)


def is_copy(
  nearest: NearestDistances, *, max_ratio: float = 1 / 3
) -> np.ndarray:
  """Ratio test: whether each query copies a training patch.

  Compare its mean with that of real patches, measured with `leave_one_out`:
  chance and repetition in the photograph make some of them pass.

  Args:
    nearest: Distances from `nearest_distances`.
    max_ratio: Threshold of the ratio of first to second distance, in (0, 1).

  Returns:
    Booleans, [N].

  Raises:
    ValueError: If `max_ratio` is out of range.
  """
  arrays.check_in_range(
    'max_ratio', max_ratio, 0, 1, open_low=True, open_high=True
  )
  return nearest.first < max_ratio * nearest.second


def _distinct(vectors: np.ndarray) -> np.ndarray:
  """Removes duplicate rows and keeps the order."""
  # A comparison as bytes is far faster than by values; + 0 makes -0 equal 0.
  rows = np.ascontiguousarray(vectors + 0)
  whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
  _, first = np.unique(whole.ravel(), return_index=True)
  return vectors[np.sort(first)]


@functools.partial(
  jax.jit, static_argnames=('leave_one_out', 'query_chunk', 'training_chunk')
)
def _two_nearest(
  queries: Array,
  bank: Array,
  *,
  leave_one_out: bool,
  query_chunk: int,
  training_chunk: int,
) -> Array:
  """Squared distances to the two nearest rows of the bank, [N, 2].

  |q - t|^2 = |q|^2 + |t|^2 - 2 q.t turns the search into a matrix product, but
  in float32 it loses the small distances of copies. So it only selects
  candidates; their distances are computed from the differences.
  """
  centre = jnp.mean(bank, axis=0, keepdims=True)  # Lowers rounding errors.
  tiles = _tiles(bank - centre, training_chunk)
  num_candidates = min(_NUM_CANDIDATES, len(bank))

  def two_nearest(query: Array) -> Array:
    centred = query - centre[0]

    def visit(
      best: tuple[Array, Array], tile: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
      vectors, norms, indices = tile
      products = jnp.matmul(vectors, centred, precision=_EXACT)
      scores = jnp.concatenate([best[0], 2 * products - norms])
      scores, kept = jax.lax.top_k(scores, num_candidates)
      return (scores, jnp.concatenate([best[1], indices])[kept]), None

    nothing = jnp.full(num_candidates, -jnp.inf), jnp.zeros(num_candidates, int)
    (_, indices), _ = jax.lax.scan(visit, nothing, tiles)
    squares = jnp.sum((bank[indices] - query[None]) ** 2, axis=1)
    if leave_one_out:
      squares = jnp.where(squares == 0, jnp.inf, squares)
    return jnp.sort(squares)[:2]

  return jax.lax.map(two_nearest, queries, batch_size=query_chunk)


def _tiles(vectors: Array, size: int) -> tuple[Array, Array, Array]:
  """Divides rows into tiles of one size: vectors, squared norms, row numbers.

  The padding rows of the last tile have an infinite norm.
  """
  num, dim = vectors.shape
  missing = -num % size
  norms = jnp.pad(
    jnp.sum(vectors**2, axis=1), (0, missing), constant_values=jnp.inf
  )
  padded = jnp.pad(vectors, ((0, missing), (0, 0)))
  return (
    padded.reshape(-1, size, dim),
    norms.reshape(-1, size),
    jnp.arange(num + missing).reshape(-1, size),
  )
