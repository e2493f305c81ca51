"""Results of `idiff-flow` on particle images and speckle, and its vectors."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from internal_diffusion import figures, files
from internal_diffusion.applications.flow import Flow
from internal_diffusion.applications.flow.frames import warp_plane
from internal_diffusion.applications.measurement import (
  Measurement,
  MeasurementModel,
  MeasurementOptions,
  Units,
  correlation_of,
  ensemble_mean,
  grid_vectors,
  learn_measurement,
  measure,
)
from internal_diffusion.bin.results import Results
from internal_diffusion.data import flow_io, vector_io

FIGURES = {
  'vectors.png': 'Vectors, coloured by their standard deviation.',
  'residuals.png': 'Differences of the frames after moving them together.',
  'reliability.png': 'Errors that intervals hold, on a pair with known field.',
  'flow.png': 'Flow: the hue is its direction, the saturation its length.',
}
OUTPUTS = ('vectors.csv', 'vectors.nc', 'ensemble.csv', 'ensemble.nc', *FIGURES)
_Field = Mapping[str, np.ndarray]


def process(
  results: Results,
  images: Sequence[np.ndarray],
  options: MeasurementOptions,
  ignored: np.ndarray | None,
  workdir: str | None,
) -> tuple[dict[str, Any], _Field]:
  """Measures one pair; returns the report's figures and the vectors."""
  first, second = images
  model = learn_measurement(
    first, second, options, ignored=ignored, workdir=workdir, progress=True
  )
  results.lap('setup')
  found = measure(model, first, second, ignored=ignored)
  _write_numbers(results, found)
  windows = np.asarray(model.windows, np.float64)
  field = write_vectors(
    results,
    first,
    found,
    np.asarray(model.slopes) / windows[:, None] ** 2,
    options,
  )
  _draw(results, first, found, model)
  good = field['valid']
  results.summary = (
    f'{int(good.sum())} of {good.size} vectors valid ({model.kind})'
  )
  return {
    'kind': model.kind,
    'window_pixels': windows.tolist(),
    'valid_fraction': float(found.valid.mean()),
    'median_sigma_pixels': _median_deviation(found),
    'confidence': np.asarray(model.nominal).tolist(),
    'coverage_on_known_field': np.asarray(model.coverage).tolist(),
  }, field


def write_vectors(
  results: Results,
  first: np.ndarray,
  found: Measurement,
  slopes: np.ndarray | None,
  options: MeasurementOptions,
) -> _Field:
  """Writes the vectors as a table, as NetCDF and as a figure.

  `slopes` are variances of the error's derivatives, or None; see
  `grid_vectors`.
  """
  field = grid_vectors(found, slopes, options)
  units = _units(field, options)
  vector_io.write_table(results.path('vectors.csv'), field, units=units)
  vector_io.write_netcdf(
    results.path('vectors.nc'), [field], units=units, title=results.name
  )
  plain = Units(options.pixels_per_mm, options.dt)
  speed = plain.length / plain.time
  figures.write_or_warn(
    results.picture('vectors.png', FIGURES['vectors.png']),
    lambda: figures.vector_figure(
      first,
      np.stack([field['x'], field['y']], axis=-1) / plain.length,
      np.stack([field['u'], field['v']], axis=-1) / speed,
      np.hypot(field['sigma_u'], field['sigma_v']) / speed,
      title='Measured displacement',
    ),
  )
  return field


def from_flow(
  flow: Flow, first: Any, second: Any, ignored: np.ndarray | None
) -> Measurement:
  """A photograph's flow in the form of a measurement."""
  valid = ~flow.occluded
  if ignored is not None:
    valid = valid & ~ignored
  warped = np.asarray(warp_plane(second, flow.mean))
  return Measurement(
    mean=flow.mean,
    covariance=flow.covariance,
    correlation=correlation_of(np.asarray(first), warped),
    residual=warped - np.asarray(first),
    valid=valid,
  )


def write_together(
  path: Callable[[str], pathlib.Path],
  fields: Mapping[str, _Field],
  options: MeasurementOptions,
) -> None:
  """Writes the vectors of several pairs, by name, and their mean."""
  pairs = list(fields.values())
  if not pairs:
    return
  title = f'pairs {", ".join(fields)}'
  vector_io.write_netcdf(
    path('vectors.nc'), pairs, units=_units(pairs[0], options), title=title
  )
  mean = ensemble_mean(pairs)
  units = _units(mean, options)
  vector_io.write_table(path('ensemble.csv'), mean, units=units)
  vector_io.write_netcdf(
    path('ensemble.nc'), [mean], units=units, title=f'mean of {title}'
  )


def _units(field: _Field, options: MeasurementOptions) -> dict[str, str]:
  units = Units(options.pixels_per_mm, options.dt)
  return {name: units.of(name) for name in field}


def _write_numbers(results: Results, found: Measurement) -> None:
  flow_io.write_flow(results.path('flow.flo'), found.mean, valid=found.valid)
  known = found.valid[..., None]
  arrays = {
    'mean': np.where(known, found.mean, np.nan),
    'covariance': found.covariance,
    'correlation': found.correlation,
    'residual': found.residual,
    'valid': found.valid,
    'occluded': ~found.valid,
  }
  files.write_npz(results.path('result.npz'), arrays)


def _draw(
  results: Results,
  first: np.ndarray,
  found: Measurement,
  model: MeasurementModel,
) -> None:
  drawings = {
    'residuals.png': lambda: figures.residual_figure(
      found.residual[found.valid], title='Residuals'
    ),
    'reliability.png': lambda: figures.reliability_figure(
      np.asarray(model.nominal),
      np.asarray(model.coverage),
      title='Reliability on a pair with known field',
    ),
    'flow.png': lambda: figures.flow_figure(
      {'flow': found.mean}, image=first, title='Flow', valid=found.valid
    ),
  }
  for name, draw in drawings.items():
    figures.write_or_warn(results.picture(name, FIGURES[name]), draw)


def _median_deviation(found: Measurement) -> list[float] | None:
  """Median standard deviation of u and v where valid, in pixels."""
  if not found.valid.any():
    return None
  variances = [found.covariance[..., i, i][found.valid] for i in range(2)]
  return [float(np.sqrt(np.median(values))) for values in variances]
