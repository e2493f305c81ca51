"""Memorization: fraction of generated patches that copy a training patch.

Distances are root mean squares per value: 0.0078 is one grey level of an 8-bit
image. A small distance is not enough for a copy, because in a flat area every
good patch is close to many training patches. A copy is closer to *one* training
patch than the training patches are to each other. The ratio test compares the
nearest distance with a fraction of the second nearest (Lowe 2004, Distinctive
image features from scale-invariant keypoints, section 7.1; Yoon et al. 2023,
Diffusion probabilistic models generalize when they fail to memorize, with the
fraction 1/3). Somepalli et al. 2023, Diffusion art or digital forgery?, measure
copies with learnt features, which short vectors do not need.

Equal training patches count as one; otherwise a patch that occurs twice would
hide its copies. Near duplicates are kept, so that a generated patch of a flat
area is not a copy.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.evaluation import distances
from internal_diffusion.evaluation.nearest_patches import nearest_vectors
from internal_diffusion.jax_settings import with_own_settings


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
  queries: ArrayLike, training: ArrayLike, *, leave_one_out: bool = False
) -> NearestDistances:
  """Distances of each query to its two nearest training patches.

  Args:
    queries: Patches, [N, P, P, C] or [N, D].
    training: Training patches, [M, P, P, C] or [M, D], of which three differ.
    leave_one_out: Whether to skip a training patch that equals the query, for
      queries that are training patches themselves.

  Raises:
    ValueError: If an argument is invalid.
  """
  patches, bank = distances.as_vectors(
    queries=queries, training=training, min_patches=1
  )
  bank = _distinct(bank)
  if len(bank) < 3:
    raise ValueError(
      f'`training` must hold at least 3 different patches, got {len(bank)}.'
    )
  _, squares = nearest_vectors(patches, bank)
  if leave_one_out:
    squares = np.sort(np.where(squares == 0, np.inf, squares), axis=1)
  return NearestDistances(*np.sqrt(squares[:, :2].T))


def is_copy(
  nearest: NearestDistances, *, max_ratio: float = 1 / 3
) -> np.ndarray:
  """Ratio test: whether each query copies a training patch, booleans [N].

  Compare its mean with that of real patches, measured with `leave_one_out`:
  chance and repetition in the photograph make some of them pass.

  Args:
    nearest: Distances from `nearest_distances`.
    max_ratio: Threshold of the ratio of first to second distance, in (0, 1).
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
