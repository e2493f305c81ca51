"""Sparsification: are the places that a prediction doubts those it gets wrong?

The places of the largest predicted uncertainty are removed first, and the mean
error of the rest is followed. It falls at best as if the largest errors were
removed first (the oracle), and stays as it is if the uncertainty says nothing.
Only the order of the uncertainties counts, so they may have any unit.

Reference:
  Ilg et al. 2018, Uncertainty estimates and multi-hypotheses networks for
    optical flow (AUSE).
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from scipy import stats

from internal_diffusion import arrays
from internal_diffusion.evaluation import calibration


class Sparsification(NamedTuple):
  """Mean errors of what remains, in the unit of the error.

  Attributes:
    removed: Share of the places that are removed, from 0, below 1, [num].
    remaining: Mean error of the others by the predicted order, [num].
    oracle: The same by the order of the errors, [num].
    area: Area between the two over all shares, over the mean error (AUSE); 0
      is the order of the errors.
  """

  removed: np.ndarray
  remaining: np.ndarray
  oracle: np.ndarray
  area: float


def rank_correlation(predicted: ArrayLike, error: ArrayLike) -> float:
  """Spearman's correlation of predicted uncertainty and error.

  Args:
    predicted: Any shape, not constant.
    error: Of the same shape, not constant.

  Returns:
    A number in [-1, 1], 1 where the orders agree.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite.
  """
  uncertainties, errors = _check_pair(predicted, error)
  for name, values in (('predicted', uncertainties), ('error', errors)):
    if np.all(values == values[0]):
      raise ValueError(f'`{name}` must not be constant, got {values[0]:g}.')
  return float(stats.spearmanr(uncertainties, errors).statistic)


def sparsification(
  predicted: ArrayLike, error: ArrayLike, *, num: int = 20
) -> Sparsification:
  """How the mean error falls as the least certain places are removed.

  Places of equal uncertainty are removed in all orders alike: the curve is the
  mean over these.

  Args:
    predicted: Uncertainties of any shape.
    error: Errors of the same shape, at least 0.
    num: Points of the curves; the area is over all shares.

  Returns:
    The curves and the area between them.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite.
  """
  arrays.check_positive_int('num', num)
  uncertainties, errors = _check_pair(predicted, error)
  if np.any(errors < 0):
    raise ValueError(f'`error` must be at least 0, got {errors.min():g}.')
  remaining, oracle = _kept(uncertainties, errors), _kept(errors, errors)
  size, mean = len(errors), errors.mean()
  # The last share leaves one place.
  num_removed = np.arange(num) * size // num
  shown = size - 1 - num_removed
  return Sparsification(
    removed=num_removed / size,
    remaining=remaining[shown],
    oracle=oracle[shown],
    area=float(np.mean(remaining - oracle) / mean) if mean else 0.0,
  )


def _kept(order: np.ndarray, errors: np.ndarray) -> np.ndarray:
  """Mean error of the first 1, 2, ..., N by an order; ties share their mean."""
  _, place, counts = np.unique(order, return_inverse=True, return_counts=True)
  means = np.bincount(place, weights=errors) / counts
  return np.cumsum(np.repeat(means, counts)) / np.arange(1, len(errors) + 1)


def _check_pair(
  predicted: ArrayLike, error: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """Both as float64 vectors."""
  uncertainties = calibration.check_finite('predicted', predicted)
  errors = calibration.check_finite('error', error)
  if uncertainties.shape != errors.shape:
    raise ValueError(
      f'`predicted` must have the shape of `error` {errors.shape}, got'
      f' {uncertainties.shape}.'
    )
  return uncertainties.ravel(), errors.ravel()
