"""Report of a flow's errors and of the calibration of its covariance."""

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.evaluation import flow_error
from internal_diffusion.evaluation.calibration import (
  gaussian_coverage,
  gaussian_log_likelihood,
)
from internal_diffusion.evaluation.flow_error import flow_errors
from internal_diffusion.evaluation.sparsification import sparsification_curves


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
  """Errors and calibration of a flow against the truth.

  Args:
    mean: Estimated flow (u, v), [H, W, 2].
    covariance: Covariance of the error, [H, W, 2, 2].
    truth: True flow, [H, W, 2].
    valid: Mask of the pixels with a known truth, [H, W] booleans.
    image: First frame, [H, W, C] in [-1, 1].
    rival_spread: Alternative uncertainty, such as the difference of forward and
      backward flow, [H, W]; None is none.
    is_horizontal: Whether the motion is along x only, as in rectified stereo;
      then coverage and likelihood are those of u.

  Returns:
    Figures by name: `aepe` and `aepe_textured` in pixels, `angular` in degrees,
    `r1`, `coverage` of the ellipses of 90 percent confidence, mean
    `log_likelihood` in nats, `log_likelihood_one_gaussian` of the single
    Gaussian that fits the errors best, `ause`, and `ause_rival` of the
    alternative.
  """
  errors = flow_errors(mean, truth, mask=valid)
  textured = valid & flow_error.textured(image)
  num = 1 if is_horizontal else 2
  difference = (truth - mean)[valid][:, :num].astype(np.float64)
  own = np.asarray(covariance, np.float64)[valid][:, :num, :num]
  variance = np.trace(own, axis1=-2, axis2=-1)
  length = np.linalg.norm((truth - mean)[valid], axis=-1)
  offset = difference - difference.mean(axis=0)
  # The small number is for a flow without errors.
  fitted = offset.T @ offset / len(offset) + 1e-12 * np.eye(num)
  figures = {
    'aepe': errors.aepe,
    'angular': errors.angular,
    'r1': errors.r1,
    'coverage': gaussian_coverage(difference, own, 0.9),
    'log_likelihood': gaussian_log_likelihood(difference, own).mean(),
    'log_likelihood_one_gaussian': gaussian_log_likelihood(
      offset, np.broadcast_to(fitted, own.shape)
    ).mean(),
    'ause': sparsification_curves(variance, length).area,
  }
  if textured.any():
    figures['aepe_textured'] = flow_errors(mean, truth, mask=textured).aepe
  if rival_spread is not None:
    rival = np.asarray(rival_spread)[valid]
    figures['ause_rival'] = sparsification_curves(rival, length).area
  return {name: float(value) for name, value in figures.items()}
