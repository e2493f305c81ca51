"""Vectors on a grid, in the units of the experiment, and what follows of them.

Derivatives are those of the dense field, which is smooth. The errors of their
components are taken as independent. With s, the variance of a derivative's
error over that of the component over the window's area (known from pairs with
known fields; see `model`),

  vorticity  = dv/dx - du/dy,     divergence = du/dx + dv/dy,
  strain_xx  = du/dx,             strain_yy  = dv/dy,
  strain_xy  = (du/dy + dv/dx) / 2,

each with a standard deviation. v is down, as y is, so the vorticity is positive
for clockwise rotation as seen in the image. Photographs have boundaries of
motion, where derivatives mean nothing: they have none.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from internal_diffusion.applications.measurement.inference import Measurement
from internal_diffusion.applications.measurement.options import (
  MeasurementOptions,
)

_Field = Mapping[str, np.ndarray]
_DERIVED = ('vorticity', 'divergence', 'strain_xx', 'strain_yy', 'strain_xy')


@dataclasses.dataclass(frozen=True)
class Units:
  """Units of a measurement: pixels and frames, or millimetres and seconds.

  Attributes:
    pixels_per_mm: Pixels per millimetre; None leaves pixels.
    dt: Seconds between two frames; None leaves displacements.
  """

  pixels_per_mm: float | None
  dt: float | None

  @property
  def length(self) -> float:
    """Lengths in these units of one pixel."""
    return 1.0 if self.pixels_per_mm is None else 1 / self.pixels_per_mm

  @property
  def time(self) -> float:
    """Time in these units of one frame."""
    return 1.0 if self.dt is None else self.dt

  def of(self, name: str) -> str:
    """The unit of a quantity."""
    length = 'px' if self.pixels_per_mm is None else 'mm'
    if name in ('x', 'y'):
      return length
    if name.rpartition('_')[2] in ('u', 'v'):
      return length if self.dt is None else f'{length}/s'
    if name.removeprefix('sigma_') in _DERIVED:
      return '1' if self.dt is None else '1/s'
    return '1'


def grid_vectors(
  measured: Measurement,
  slopes: np.ndarray | None,
  options: MeasurementOptions,
) -> dict[str, np.ndarray]:
  """Quantities on a grid, [m, n] each.

  Args:
    measured: Displacements of all pixels.
    slopes: Variance of the error's derivative along x and y, of u and v, in
      units of the component's variance per pixel^2, [2, 2]; None leaves out
      what follows of derivatives.
    options: Grid and calibration.

  Returns:
    x, y, u, v, sigma_u, sigma_v, correlation, valid, and the vorticity, the
    divergence and the three strains, each with its sigma. What is not valid is
    NaN, and its sigma infinite.
  """
  units = Units(options.pixels_per_mm, options.dt)
  rows, columns = (
    np.arange(options.grid // 2, side, options.grid)
    for side in measured.valid.shape
  )
  at = np.ix_(rows, columns)
  good = measured.valid[at]
  sigma = np.sqrt(
    np.stack([measured.covariance[..., i, i][at] for i in range(2)])
  )
  x, y = np.meshgrid(columns, rows)
  found = {'x': x * units.length, 'y': y * units.length}
  for values, names in (
    (np.moveaxis(measured.mean[at], -1, 0), ('u', 'v')),
    (sigma, ('sigma_u', 'sigma_v')),
  ):
    for name, part in zip(names, values, strict=True):
      unknown = np.inf if name.startswith('sigma') else np.nan
      speed = units.length / units.time
      found[name] = np.where(good, part * speed, unknown)
  found |= {'correlation': measured.correlation[at], 'valid': good}
  if slopes is None:
    return found
  derived, errors = _derivatives(measured.mean, at, sigma, slopes)
  for name in _DERIVED:
    found[name] = np.where(good, derived[name] / units.time, np.nan)
    error = np.where(good, errors[name] / units.time, np.inf)
    found[f'sigma_{name}'] = error
  return found


def _derivatives(
  mean: np.ndarray,
  at: tuple[np.ndarray, ...],
  sigma: np.ndarray,
  slopes: np.ndarray,
) -> tuple[_Field, _Field]:
  """Derived quantities per frame, and their standard deviations, by name."""
  along_y, along_x = (
    np.gradient(mean.astype(np.float64), axis=axis)[at] for axis in (0, 1)
  )
  # Variances of the derivatives of component i along axis j.
  spread = sigma[:, None] ** 2 * np.asarray(slopes)[:, :, None, None]
  across = np.sqrt(spread[1, 0] + spread[0, 1])
  return {
    'vorticity': along_x[..., 1] - along_y[..., 0],
    'divergence': along_x[..., 0] + along_y[..., 1],
    'strain_xx': along_x[..., 0],
    'strain_yy': along_y[..., 1],
    'strain_xy': (along_y[..., 0] + along_x[..., 1]) / 2,
  }, {
    'vorticity': across,
    'divergence': np.sqrt(spread[0, 0] + spread[1, 1]),
    'strain_xx': np.sqrt(spread[0, 0]),
    'strain_yy': np.sqrt(spread[1, 1]),
    'strain_xy': across / 2,
  }


def ensemble_mean(pairs: Sequence[_Field]) -> dict[str, np.ndarray]:
  """Mean of the vectors of several pairs, with its standard error.

  Args:
    pairs: Results of `grid_vectors` on one grid.

  Returns:
    x, y, u and v (means over the valid vectors), error_u and error_v (their
    standard errors, from the scatter of the pairs but at least what the
    measurement gives), measured_u and measured_v (what it gives) and number (of
    valid vectors), [m, n] each.
  """
  number = np.sum([pair['valid'] for pair in pairs], axis=0)
  found: dict[str, np.ndarray] = {'x': pairs[0]['x'], 'y': pairs[0]['y']}
  for name in ('u', 'v'):
    values = np.stack([pair[name] for pair in pairs])
    good = np.isfinite(values)
    with np.errstate(invalid='ignore', divide='ignore'):
      mean = np.where(good, values, 0).sum(axis=0) / number
      squares = np.where(good, values - mean, 0) ** 2
      error = np.sqrt(squares.sum(axis=0) / (number - 1) / number)
      sigma = np.stack([pair[f'sigma_{name}'] for pair in pairs])
      own = np.sqrt(np.sum(np.where(good, sigma, 0) ** 2, axis=0)) / number
    found[name] = np.where(number > 0, mean, np.nan)
    found[f'error_{name}'] = np.where(
      number > 1, np.maximum(error, own), np.inf
    )
    found[f'measured_{name}'] = np.where(number > 0, own, np.inf)
  return found | {'number': number}
