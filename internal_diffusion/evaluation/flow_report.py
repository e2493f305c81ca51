"""How good a flow is, and how true what it says of its own errors."""

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.evaluation import (
  calibration,
  flow_error,
  sparsification,
)

_LEVEL = 0.9


def judge_flow(
  mean: np.ndarray,
  covariance: np.ndarray,
  truth: np.ndarray,
  *,
  valid: np.ndarray,
  image: np.ndarray,
  rival_spread: ArrayLike | None = None,
  is_horizontal: bool = False,
) -> dict[str, float]:
  """Errors and uncertainty of a flow against the truth.

  Args:
    mean: (u, v), [H, W, 2].
    covariance: Of its error, [H, W, 2, 2].
    truth: [H, W, 2].
    valid: Where it is known, [H, W] booleans.
    image: The first frame, [H, W, C] in [-1, 1].
    rival_spread: Another uncertainty to rank errors by, such as what the flows
      there and back disagree by, [H, W]; None is none.
    is_horizontal: Whether nothing moves along y, as in rectified stereo. Then
      coverage and log-likelihood are those of u.

  Returns:
    `aepe` in pixels over all and over textured pixels, `angular` in degrees,
    `coverage` of the ellipses of 90 percent, mean `log_likelihood` in nats and
    that of the one Gaussian that fits the errors best, `ause` and, if given,
    that of the rival.
  """
  errors = flow_error.flow_errors(mean, truth, mask=valid)
  textured = valid & flow_error.textured(image)
  num = 1 if is_horizontal else 2
  difference = (truth - mean)[valid][:, :num].astype(np.float64)
  own = np.asarray(covariance, np.float64)[valid][:, :num, :num]
  length = np.linalg.norm((truth - mean)[valid], axis=-1)
  offset = difference - difference.mean(axis=0)
  # The best there is for these very errors; a grid without errors has none.
  fitted = offset.T @ offset / len(offset) + 1e-12 * np.eye(num)
  figures = {
    'aepe': errors.aepe,
    'angular': errors.angular,
    'r1': errors.r1,
    'coverage': calibration.gaussian_coverage(difference, own, _LEVEL),
    'log_likelihood': float(
      calibration.gaussian_log_likelihood(difference, own).mean()
    ),
    'log_likelihood_one_gaussian': float(
      calibration.gaussian_log_likelihood(
        offset, np.broadcast_to(fitted, own.shape)
      ).mean()
    ),
    'ause': _area(np.trace(own, axis1=-2, axis2=-1), length),
  }
  if textured.any():
    figures['aepe_textured'] = flow_error.flow_errors(
      mean, truth, mask=textured
    ).aepe
  if rival_spread is not None:
    figures['ause_rival'] = _area(np.asarray(rival_spread)[valid], length)
  return figures


def _area(spread: np.ndarray, length: np.ndarray) -> float:
  return sparsification.sparsification(spread, length).area
