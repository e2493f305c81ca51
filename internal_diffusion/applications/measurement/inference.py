"""Measured displacements of a pair, each with its uncertainty."""

from typing import NamedTuple

import numpy as np
import scipy.ndimage

from internal_diffusion.applications.measurement import (
  calibration,
  frames,
  posterior_mode,
  refine,
  signs,
)
from internal_diffusion.applications.measurement.agreement import (
  local_average,
  local_correlation,
)
from internal_diffusion.applications.measurement.checks import check_pair
from internal_diffusion.applications.measurement.model import MeasurementModel
from internal_diffusion.applications.measurement.smooth_field import SplineGrid
from internal_diffusion.jax_settings import with_own_settings

_LIMIT = 0.003  # In pixels: errors that pairs with known fields do not show.
_MIN_CORRELATION = 0.3
_MAX_DEVIATION = 1.0  # In pixels; where errors are larger, nothing is known.
_MIN_SEEN = 0.25  # Part of the window that must be visible.
_MIN_INFORMATION = 0.02  # Of a window, over the median window.
_MAX_STEEPNESS = 0.7  # Change of the displacement that can be followed.


class Measurement(NamedTuple):
  """Displacements of the first frame's pixels.

  Attributes:
    mean: Displacement (u, v) in pixels, u to the right and v down, [H, W, 2].
      Where it is not valid, it is only a continuation.
    covariance: Covariance of its error in pixels^2, [H, W, 2, 2]; infinite
      where it is not valid.
    correlation: Correlation of both frames around each pixel, denoised and
      moved together, [H, W].
    residual: Second frame minus first, moved together, [H, W].
    valid: Mask of the pixels that were measured, [H, W] booleans.
  """

  mean: np.ndarray
  covariance: np.ndarray
  correlation: np.ndarray
  residual: np.ndarray
  valid: np.ndarray


@with_own_settings
def measure(
  model: MeasurementModel,
  first: np.ndarray,
  second: np.ndarray,
  *,
  ignored: np.ndarray | None = None,
) -> Measurement:
  """Measures the displacements from one frame to another.

  Args:
    model: From `learn_measurement`, of this pair or one like it.
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, of the same shape.
    ignored: Mask of pixels not to measure, [H, W] booleans; None is none.

  Raises:
    ValueError: If a frame or the mask is wrong.
  """
  pair = frames.flatten_pair(*check_pair(first, second, ignored), ignored)
  grid = SplineGrid(*pair.first.shape)
  windows = np.stack([np.asarray(model.windows, np.float64)] * 2)
  rng = np.random.default_rng(0)
  found = posterior_mode.find_mode(rng, pair, grid, windows)
  errors = calibration.ErrorModel(np.asarray(model.weights, np.float64))
  variance = errors.variance(signs.error_signs(found))
  deviation = np.sqrt(variance + _LIMIT**2)
  alike = local_correlation(pair, found)
  valid = _is_measured(found, deviation, alike)
  field = found.field
  others = [alike, found.residuals.residual, valid]
  moved = frames.at_first_frame(
    field, np.concatenate([field, deviation, others])
  )
  own, deviation, (alike, residual, valid) = np.split(moved, [2, 4])
  good = (valid > 0.5) & _stays_usable(own, pair)
  covariance = np.where(good, deviation**2, np.inf)
  return Measurement(
    mean=np.moveaxis(own, 0, -1).astype(np.float32),
    covariance=_diagonal(covariance).astype(np.float32),
    correlation=alike.astype(np.float32),
    residual=residual.astype(np.float32),
    valid=good,
  )


def _is_measured(
  found: refine.Refined, deviation: np.ndarray, alike: np.ndarray
) -> np.ndarray:
  """Points of the middle where the frames tell the field, [H, W] booleans."""
  window = float(np.mean(found.window))
  told = local_average(found.residuals.precision[[0, 2]].sum(axis=0), window)
  steps = np.stack(np.gradient(found.field, axis=(1, 2)))
  steepness = np.sqrt(np.sum(steps**2, axis=(0, 1)))
  return (
    (deviation < _MAX_DEVIATION).all(axis=0)
    & (alike > _MIN_CORRELATION)
    & (told > _MIN_INFORMATION * np.median(told))
    & (local_average(found.residuals.visible, window) > _MIN_SEEN)
    & (_average_inside(steepness, window) < _MAX_STEEPNESS)
  )


def _average_inside(values: np.ndarray, window: float) -> np.ndarray:
  """`local_average` over the part of a window that is inside the frame."""
  inside = local_average(np.ones(values.shape), window)
  return local_average(values, window) / inside


def _stays_usable(field: np.ndarray, pair: frames.FramePair) -> np.ndarray:
  """Mask of pixels of the first frame whose ends count in both frames."""
  rows, columns = np.indices(field.shape[1:], dtype=np.float64)
  end = scipy.ndimage.map_coordinates(
    pair.usable_second.astype(np.uint8),
    [rows + field[1], columns + field[0]],
    order=0,
    mode='constant',
  )
  return pair.usable & end.astype(bool)


def _diagonal(variances: np.ndarray) -> np.ndarray:
  """Covariances [H, W, 2, 2] of components that do not correlate."""
  found = np.zeros((*variances.shape[1:], 2, 2))
  found[..., 0, 0], found[..., 1, 1] = variances
  return found
