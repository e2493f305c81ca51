"""Signs of a measured field's error: variances that may add up to it.

Three variances of each component, in pixels^2:

  that of white noise: the inverse of the precision that the window holds;
  that of the likelihood's gradient as it is, with its correlation over a
    particle (the sandwich of White 1982, Maximum likelihood estimation of
    misspecified models; for particle images, Wieneke 2015, PIV uncertainty
    quantification from correlation statistics);
  that of smoothing: the square of what a second smoothing would change.

Their weights are found on pairs with known fields (`calibration`).
"""

import numpy as np
import scipy.ndimage

from internal_diffusion.applications.measurement.refine import Refined
from internal_diffusion.applications.measurement.smooth_field import (
  apply_precision,
)

NUM_SIGNS = 3
_PARTICLE = 1.5  # Standard deviation of the force's average, in pixels.
_MAX_VARIANCE = 1e4  # Pixels^2, where nothing is seen.


def error_signs(refined: Refined) -> np.ndarray:
  """Variances of (u, v) by sign, [3, 2, H, W]."""
  residuals, grid = refined.residuals, refined.grid
  precision = residuals.precision
  window = float(np.sqrt(np.prod(refined.window)))
  spread = window / (2 * np.sqrt(np.pi))
  held = _average(precision, spread)
  area = np.square(refined.window)[:, None, None]
  white = inverse(held)[[0, 2]] / area
  force = _average(residuals.force, _PARTICLE)
  x, y = force
  squares = 4 * np.pi * _PARTICLE**2 * np.stack([x * x, x * y, y * y])
  spent = _average(squares, spread / np.sqrt(2))
  sandwich = _between(inverse(held), spent)[[0, 2]] / area
  field = refined.field
  again = grid.field(
    grid.solve(
      precision,
      refined.penalty,
      grid.gather(apply_precision(precision, field)),
      refined.coefficients,
    )
  )
  lost = _average((again - field) ** 2, spread / 2)
  found = np.stack([white, sandwich, lost])
  return np.clip(found, 0, _MAX_VARIANCE)


def inverse(matrix: np.ndarray) -> np.ndarray:
  """Inverses of symmetric matrices (uu, uv, vv), [3, H, W]."""
  uu, uv, vv = matrix
  tiny = 1e-12 * (1 + uu + vv) ** 2
  return np.stack([vv, -uv, uu]) / np.maximum(uu * vv - uv**2, tiny)


def _between(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
  """A B A for symmetric matrices A and B, [3, H, W]."""
  full = [
    np.moveaxis(np.stack([[m[0], m[1]], [m[1], m[2]]]), (0, 1), (-2, -1))
    for m in (outer, inner)
  ]
  product = full[0] @ full[1] @ full[0]
  return np.stack([product[..., 0, 0], product[..., 0, 1], product[..., 1, 1]])


def _average(values: np.ndarray, stddev: float) -> np.ndarray:
  return scipy.ndimage.gaussian_filter(values, (0, stddev, stddev))
