"""Calibration of the predicted errors, on pairs with known fields.

The variance of a component's error is a sum of its signs (`signs`) with
weights of at least 0, which maximise the likelihood of the errors of
pseudo-pairs as Gaussian ones.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize

_FLOOR = 1e-6  # Variance in pixels^2 that a measurement always has.
_LOG_RANGE = (-12.0, 6.0)  # Of the weights.
_MAX_FITTED = 40000


class ErrorModel(NamedTuple):
  """Weights of the signs of u and of v, [2, 3]."""

  weights: np.ndarray

  def variance(self, signs: np.ndarray) -> np.ndarray:
    """Variances of (u, v) [2, ...] from signs [3, 2, ...]."""
    return np.einsum('cs,sc...->c...', self.weights, signs) + _FLOOR


def fit_error_model(
  rng: np.random.Generator, signs: np.ndarray, errors: np.ndarray
) -> ErrorModel:
  """Fits the weights to errors of (u, v) [2, N] with signs [3, 2, N]."""
  num = errors.shape[1]
  if num > _MAX_FITTED:
    chosen = rng.choice(num, _MAX_FITTED, replace=False)
    signs, errors = signs[..., chosen], errors[:, chosen]
  pairs = zip(np.moveaxis(signs, 1, 0), errors**2, strict=True)
  return ErrorModel(np.stack([_fit_weights(*pair) for pair in pairs]))


def _fit_weights(signs: np.ndarray, squares: np.ndarray) -> np.ndarray:
  """Weights [3] of signs [3, N] for squared errors [N]."""

  def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
    weights = np.exp(logs)
    variance = weights @ signs + _FLOOR
    value = np.mean(squares / variance + np.log(variance)) / 2
    slope = (1 - squares / variance) / variance / 2
    gradient = weights * (signs @ slope) / squares.size
    return value + 1e-4 * np.sum(logs**2), gradient + 2e-4 * logs

  found = scipy.optimize.minimize(
    loss,
    np.full(len(signs), -1.0),
    jac=True,
    method='L-BFGS-B',
    bounds=[_LOG_RANGE] * len(signs),
  )
  return np.exp(found.x)
