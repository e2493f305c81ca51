"""Sparsification: whether predicted uncertainty ranks the errors.

Values are removed in order of decreasing predicted uncertainty, and the mean
error of the remaining values is recorded. The best possible curve removes the
largest errors first (the oracle); a constant curve means that uncertainty and
error are unrelated. Only the order of the uncertainties matters, not their
unit.

Reference:
  Ilg et al. 2018, Uncertainty estimates and multi-hypotheses networks for
    optical flow (AUSE).
"""

from typing import NamedTuple

import numpy as np
import scipy  # Its `stats` is imported where it is used.
from jax.typing import ArrayLike

from internal_diffusion import arrays


class Sparsification(NamedTuple):
  """Sparsification curves, in the unit of the error.

  Attributes:
    removed: Fraction of removed values, from 0 to below 1, [num].
    remaining: Mean error of the remaining values in predicted order, [num].
    oracle: The same in the order of the errors, [num].
    area: Area between the two curves over the mean error (AUSE); 0 is a perfect
      order.
  """

  removed: np.ndarray
  remaining: np.ndarray
  oracle: np.ndarray
  area: float


def rank_correlation(predicted: ArrayLike, error: ArrayLike) -> float:
  """Spearman's correlation of predicted uncertainty and error, in [-1, 1].

  Both are finite, not constant and of one shape; else `ValueError` is raised.

  Example:
    >>> round(rank_correlation([1.0, 2.0, 3.0], [0.1, 0.2, 0.9]), 6)
    1.0
  """
  uncertainties, errors = _check_pair(predicted, error)
  for name, values in (('predicted', uncertainties), ('error', errors)):
    if np.all(values == values[0]):
      raise ValueError(f'`{name}` must not be constant, got {values[0]:g}.')
  return float(scipy.stats.spearmanr(uncertainties, errors).statistic)


def sparsification_curves(
  predicted: ArrayLike, error: ArrayLike, *, num: int = 20
) -> Sparsification:
  """Sparsification curves of predicted uncertainties.

  The order of equal uncertainties is averaged over all permutations.

  Args:
    predicted: Uncertainties of any shape, finite.
    error: Errors of the same shape, finite and at least 0.
    num: Number of points of the curves; the area uses all fractions.
  """
  arrays.check_positive_int('num', num)
  uncertainties, errors = _check_pair(predicted, error)
  if np.any(errors < 0):
    raise ValueError(f'`error` must be at least 0, got {errors.min():g}.')
  remaining, oracle = _kept(uncertainties, errors), _kept(errors, errors)
  size, mean = len(errors), errors.mean()
  # The last fraction keeps one value.
  num_removed = np.arange(num) * size // num
  shown = size - 1 - num_removed
  return Sparsification(
    removed=num_removed / size,
    remaining=remaining[shown],
    oracle=oracle[shown],
    area=float(np.mean(remaining - oracle) / mean) if mean else 0.0,
  )


def _kept(order: np.ndarray, errors: np.ndarray) -> np.ndarray:
  """Mean error of the first 1, 2, ..., N in an order; ties take their mean."""
  _, place, counts = np.unique(order, return_inverse=True, return_counts=True)
  means = np.bincount(place, weights=errors) / counts
  return np.cumsum(np.repeat(means, counts)) / np.arange(1, len(errors) + 1)


def _check_pair(
  predicted: ArrayLike, error: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """Checks both and converts them to float64 vectors."""
  uncertainties = arrays.check_finite('predicted', predicted)
  errors = arrays.check_finite('error', error)
  arrays.check_same_shape(predicted=uncertainties, error=errors)
  return uncertainties.ravel(), errors.ravel()
