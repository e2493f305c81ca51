"""Calibration of predictive distributions: coverage, CRPS and likelihood.

A prediction is a set of samples [K, ...], a pair of quantiles, or a Gaussian.
It is calibrated if its intervals of confidence p contain the truth in a
fraction p of the cases. CRPS and likelihood also reward narrow predictions.

Coverage of samples. If the truth and the K samples are exchangeable, the number
R of samples below the truth is uniform on 0, ..., K. Then U, uniform on
[R / (K+1), (R+1) / (K+1)], is uniform on [0, 1], and the truth is covered if U
is in the central interval [(1-p)/2, (1+p)/2]. The functions return the
probability of this event given R, without random draws. Its mean over
calibrated cases is exactly p for every p and K. Empirical quantiles do not have
this property: the range of K samples covers (K-1) / (K+1). Ties of truth and
samples are averaged over all orders.

All functions compute in float64 with NumPy and raise `ValueError` for arguments
that are empty, not finite or of a wrong shape.

References:
  Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and
    estimation.
  Ferro 2014, Fair scores for ensemble forecasts.
  Czado et al. 2009, Predictive model assessment for count data (the
    non-randomized PIT).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from scipy import special

from internal_diffusion import arrays

_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class Reliability(NamedTuple):
  """Coverage at several confidences.

  Attributes:
    nominal: Confidences, [L].
    empirical: Fractions of cases covered, [L]. Below `nominal` the prediction
      is overconfident, above it underconfident.
  """

  nominal: np.ndarray
  empirical: np.ndarray

  @property
  def mean_error(self) -> float:
    """Mean absolute difference of nominal and empirical coverage."""
    return float(np.mean(np.abs(self.empirical - self.nominal)))


def interval_coverage(
  samples: ArrayLike, truth: ArrayLike, confidence: float
) -> float:
  """Fraction of the truth inside the samples' central intervals.

  Args:
    samples: Samples, [K, ...], K at least 1.
    truth: True values, [...].
    confidence: Confidence p of the intervals, in (0, 1).

  Returns:
    The coverage, in [0, 1], with expectation p if truth and samples are
    exchangeable.

  Example:
    >>> interval_coverage(np.array([[0.0], [1.0], [2.0]]), np.array([1.5]), 0.5)
    1.0
  """
  drawn, values = _check_samples(samples, truth, 1)
  _check_confidence(confidence)
  ends = len(drawn) + 1
  low = np.sum(drawn < values, axis=0) / ends
  high = (np.sum(drawn <= values, axis=0) + 1) / ends
  tail = (1 - confidence) / 2
  overlap = np.minimum(high, 1 - tail) - np.maximum(low, tail)
  return float(np.mean(np.maximum(overlap, 0) / (high - low)))


def bounds_coverage(
  lower: ArrayLike, upper: ArrayLike, truth: ArrayLike
) -> float:
  """Fraction of the truth between two predicted quantiles, bounds included.

  Args:
    lower: Lower quantiles, [...].
    upper: Upper quantiles, [...], at least `lower`.
    truth: True values, [...].

  Returns:
    The coverage, in [0, 1]; calibrated quantiles q and 1 - q give 1 - 2 q.
  """
  low = arrays.check_finite('lower', lower)
  high = arrays.check_finite('upper', upper)
  values = arrays.check_finite('truth', truth)
  arrays.check_same_shape(lower=low, truth=values)
  arrays.check_same_shape(upper=high, truth=values)
  if np.any(high < low):
    raise ValueError(
      '`upper` must be at least `lower`, got a difference of'
      f' {np.min(high - low):g}.'
    )
  return float(np.mean((low <= values) & (values <= high)))


def reliability(
  coverage_fn: Callable[[float], float],
  *,
  confidences: Sequence[float] = _CONFIDENCES,
) -> Reliability:
  """Nominal and empirical coverage at several confidences.

  Args:
    coverage_fn: Coverage at a confidence, such as `lambda p:
      interval_coverage(samples, truth, p)`.
    confidences: One or more confidences, each in (0, 1).
  """
  if not len(confidences):
    raise ValueError('`confidences` must not be empty.')
  for confidence in confidences:
    _check_confidence(confidence)
  empirical = [coverage_fn(confidence) for confidence in confidences]
  return Reliability(np.array(confidences, float), np.array(empirical, float))


def crps(samples: ArrayLike, truth: ArrayLike) -> np.ndarray:
  """Continuous ranked probability score, E|X-y| - E|X-X'| / 2.

  The fair estimator (Ferro 2014): the second mean is over pairs of different
  samples, so its expectation does not depend on K. For x_(1) <= ... <= x_(K),
  the sum of |x_i - x_j| over i < j is the sum of (2i - K - 1) x_(i).

  Args:
    samples: Samples, [K, ...], K at least 2.
    truth: True values y, [...].

  Returns:
    Scores in the unit of the values, [...]; lower is better. A single score may
    be negative, its expectation is not.

  Example:
    >>> crps(np.array([[0.0], [2.0]]), np.array([1.0])).tolist()
    [0.0]
  """
  drawn, values = _check_samples(samples, truth, 2)
  errors = np.sort(drawn - values, axis=0)
  num = len(errors)
  weights = (2 * np.arange(1, num + 1) - num - 1) / (num * (num - 1))
  spread = np.tensordot(weights, errors, axes=1)
  return np.mean(np.abs(errors), axis=0) - spread


def gaussian_coverage(
  error: ArrayLike, covariance: ArrayLike, confidence: float
) -> float:
  """Fraction of the truth inside the confidence ellipsoids of Gaussians.

  For errors drawn from N(0, C), the squared Mahalanobis distance e^T C^-1 e has
  a chi-squared distribution with D degrees of freedom.

  Args:
    error: Truth minus mean, [..., D].
    covariance: Covariance C, positive definite, [..., D, D].
    confidence: Confidence p of the ellipsoids, in (0, 1).

  Returns:
    The coverage, in [0, 1], with expectation p if the Gaussians are right.
  """
  _check_confidence(confidence)
  whitened, _ = _whiten(error, covariance)
  # The quantile of the chi-squared distribution.
  radius = 2 * special.gammaincinv(whitened.shape[-1] / 2, confidence)
  return float(np.mean(np.sum(whitened**2, axis=-1) <= radius))


def gaussian_log_likelihood(
  error: ArrayLike, covariance: ArrayLike
) -> np.ndarray:
  """Log density of N(0, C) at the error, in nats.

  Args:
    error: Truth minus mean, [..., D].
    covariance: Covariance C, positive definite, [..., D, D].

  Returns:
    Log densities, [...].
  """
  whitened, log_scale = _whiten(error, covariance)
  dim = whitened.shape[-1]
  squares = np.sum(whitened**2, axis=-1)
  return -(squares + dim * np.log(2 * np.pi)) / 2 - log_scale


def _check_confidence(confidence: float) -> None:
  arrays.check_in_range(
    'confidence', confidence, 0, 1, open_low=True, open_high=True
  )


def _check_samples(
  samples: ArrayLike, truth: ArrayLike, min_samples: int
) -> tuple[np.ndarray, np.ndarray]:
  drawn = arrays.check_finite('samples', samples)
  values = arrays.check_finite('truth', truth)
  if drawn.shape[1:] != values.shape or drawn.ndim != values.ndim + 1:
    raise ValueError(
      f'`samples` must be [K, ...] for `truth` of shape {values.shape}, got'
      f' {drawn.shape}.'
    )
  if len(drawn) < min_samples:
    raise ValueError(
      f'`samples` must hold at least {min_samples} a case, got {len(drawn)}.'
    )
  return drawn, values


def _whiten(
  error: ArrayLike, covariance: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """L^-1 e and log |L| of the Cholesky factor L of C, [..., D] and [...]."""
  errors = np.atleast_1d(arrays.check_finite('error', error))
  matrices = arrays.check_finite('covariance', covariance)
  expected = (*errors.shape, errors.shape[-1])
  if matrices.shape != expected:
    raise ValueError(
      f'`covariance` must have shape {expected} for `error` of shape'
      f' {errors.shape}, got {matrices.shape}.'
    )
  if not np.allclose(matrices, np.swapaxes(matrices, -1, -2)):
    raise ValueError('`covariance` must be symmetric.')
  try:
    factors = np.linalg.cholesky(matrices)
  except np.linalg.LinAlgError:
    lowest = np.linalg.eigvalsh(matrices).min()
    raise ValueError(
      f'`covariance` must be positive definite, got an eigenvalue {lowest:g}.'
    ) from None
  whitened = np.linalg.solve(factors, errors[..., None])[..., 0]
  diagonals = np.diagonal(factors, axis1=-2, axis2=-1)
  return whitened, np.sum(np.log(diagonals), axis=-1)
