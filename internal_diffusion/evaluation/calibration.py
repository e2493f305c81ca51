"""Calibration: does a prediction know how wrong it is?

A prediction is a set of samples [K, ...], a pair of quantiles, or a Gaussian.
It is calibrated if its intervals of level p hold the truth in a share p of all
cases. Any wide prediction can be made so; the CRPS and the likelihood reward
narrow ones too.

Coverage by samples. If the truth and the K samples of a case are exchangeable,
the number R of samples below the truth is uniform on 0, ..., K. So U, uniform
on [R / (K+1), (R+1) / (K+1)], is uniform on [0, 1], and the truth counts as
covered where U lies in the central [(1-p)/2, (1+p)/2]. What is reported is the
probability of that given R, so nothing is drawn, and its mean over calibrated
cases is p exactly for every p and K, which the empirical quantiles of a few
samples do not reach: the outermost of K samples hold (K-1) / (K+1). Samples
equal to the truth come before or after it, all orders being alike.

All is computed in float64 by NumPy, whatever the arguments are.

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
from scipy import stats

from internal_diffusion import arrays

_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class Reliability(NamedTuple):
  """Coverage at several levels.

  Attributes:
    nominal: The levels asked for, [L].
    empirical: The share of cases covered, [L]. Below `nominal` the prediction
      is too sure of itself, above not sure enough.
  """

  nominal: np.ndarray
  empirical: np.ndarray

  @property
  def mean_error(self) -> float:
    """Mean distance from nominal to empirical."""
    return float(np.mean(np.abs(self.empirical - self.nominal)))


def interval_coverage(
  samples: ArrayLike, truth: ArrayLike, level: float
) -> float:
  """Share of the truth in the samples' central intervals, as the module says.

  Args:
    samples: [K, ...], at least one a case.
    truth: [...].
    level: p in (0, 1).

  Returns:
    A number in [0, 1], of expectation p where truth and samples are
    exchangeable.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite.
  """
  drawn, values = _check_samples(samples, truth, min_samples=1)
  _check_level(level)
  ends = len(drawn) + 1
  low = np.sum(drawn < values, axis=0) / ends
  high = (np.sum(drawn <= values, axis=0) + 1) / ends
  overlap = np.minimum(high, (1 + level) / 2) - np.maximum(low, (1 - level) / 2)
  return float(np.mean(np.maximum(overlap, 0) / (high - low)))


def bounds_coverage(
  lower: ArrayLike, upper: ArrayLike, truth: ArrayLike
) -> float:
  """Share of the truth between two predicted quantiles, bounds included.

  Args:
    lower: [...].
    upper: [...], nowhere below `lower`.
    truth: [...].

  Returns:
    A number in [0, 1]; for quantiles q and 1 - q it should be 1 - 2 q.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite.
  """
  low, values = check_finite('lower', lower), check_finite('truth', truth)
  high = check_finite('upper', upper)
  for name, bound in (('lower', low), ('upper', high)):
    if bound.shape != values.shape:
      raise ValueError(
        f'`{name}` must have the shape of `truth` {values.shape}, got'
        f' {bound.shape}.'
      )
  if np.any(high < low):
    raise ValueError(
      f'`upper` must not be below `lower`, got {np.min(high - low):g} more.'
    )
  return float(np.mean((low <= values) & (values <= high)))


def reliability(
  coverage_fn: Callable[[float], float], *, levels: Sequence[float] = _LEVELS
) -> Reliability:
  """The table of nominal against empirical coverage.

  Args:
    coverage_fn: The coverage at a level, such as `lambda level:
      interval_coverage(samples, truth, level)`.
    levels: Levels, each in (0, 1).

  Returns:
    The table.

  Raises:
    ValueError: If there is no level or one is out of its range.
  """
  if not len(levels):
    raise ValueError('`levels` must hold at least one level, got none.')
  for level in levels:
    _check_level(level)
  empirical = [coverage_fn(level) for level in levels]
  return Reliability(np.asarray(levels, float), np.asarray(empirical, float))


def crps(samples: ArrayLike, truth: ArrayLike) -> np.ndarray:
  """Continuous ranked probability score, of expectation E|X-y| - E|X-X'| / 2.

  The fair estimator (Ferro 2014): the second mean is over pairs of different
  samples, so few samples are not worse than many, on average. With x_(1) <= ...
  <= x_(K), the sum of |x_i - x_j| over i < j is that of (2i - K - 1) x_(i).

  Args:
    samples: [K, ...], at least two a case.
    truth: y, [...].

  Returns:
    [...], in the unit of the values, lower is better. It may be below 0 for one
    case, its expectation is not.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite.
  """
  drawn, values = _check_samples(samples, truth, min_samples=2)
  errors = np.sort(drawn - values, axis=0)
  num = len(errors)
  weights = (2 * np.arange(1, num + 1) - num - 1) / (num * (num - 1))
  spread = np.tensordot(weights, errors, axes=1)
  return np.mean(np.abs(errors), axis=0) - spread


def gaussian_coverage(
  error: ArrayLike, covariance: ArrayLike, level: float
) -> float:
  """Share of the truth in the ellipsoids that hold a share of a Gaussian.

  The squared Mahalanobis distance e^T C^-1 e of D values that are drawn from
  N(0, C) has the chi-squared distribution of D degrees.

  Args:
    error: Truth minus mean, [..., D].
    covariance: C, [..., D, D].
    level: p in (0, 1).

  Returns:
    A number in [0, 1], of expectation p where the Gaussians are right.

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite, or C
      is not positive definite.
  """
  _check_level(level)
  whitened, _ = _whiten(error, covariance)
  radius = stats.chi2.ppf(level, whitened.shape[-1])
  return float(np.mean(np.sum(whitened**2, axis=-1) <= radius))


def gaussian_log_likelihood(
  error: ArrayLike, covariance: ArrayLike
) -> np.ndarray:
  """Log density of N(0, C) at the error, in nats.

  Args:
    error: Truth minus mean, [..., D].
    covariance: C, [..., D, D].

  Returns:
    [...].

  Raises:
    ValueError: If an argument is not as said above, empty, or not finite, or C
      is not positive definite.
  """
  whitened, log_scale = _whiten(error, covariance)
  dim = whitened.shape[-1]
  squares = np.sum(whitened**2, axis=-1)
  return -(squares + dim * np.log(2 * np.pi)) / 2 - log_scale


def check_finite(name: str, values: ArrayLike) -> np.ndarray:
  """Returns numbers as float64, or says what is wrong with them.

  Args:
    name: What messages call the values.
    values: Any shape.

  Returns:
    float64 of the same shape.

  Raises:
    ValueError: If they are empty or not finite.
  """
  numbers = np.asarray(values, np.float64)
  if not numbers.size:
    raise ValueError(f'`{name}` must not be empty, got shape {numbers.shape}.')
  if not np.all(np.isfinite(numbers)):
    raise ValueError(f'`{name}` must be finite, got NaN or infinite values.')
  return numbers


def _check_level(level: float) -> None:
  arrays.check_in_range('level', level, 0, 1, open_low=True, open_high=True)


def _check_samples(
  samples: ArrayLike, truth: ArrayLike, *, min_samples: int
) -> tuple[np.ndarray, np.ndarray]:
  drawn = check_finite('samples', samples)
  values = check_finite('truth', truth)
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
  errors = np.atleast_1d(check_finite('error', error))
  matrices = check_finite('covariance', covariance)
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
