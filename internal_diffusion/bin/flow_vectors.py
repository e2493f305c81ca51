"""Results of `idiff-flow` on particle images and speckle, and its vectors."""

import pathlib
import warnings
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
from internal_diffusion.bin.flow_truth import Truth
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
  truth: Truth | None,
  ignored: np.ndarray | None,
  workdir: str | None,
) -> dict[str, Any]:
  """Measures one pair; returns the report's figures."""
  first, second = images
  model = learn_measurement(
    first, second, options, ignored=ignored, workdir=workdir, progress=True
  )
  results.lap('setup')
  found = measure(model, first, second, ignored=ignored)
  _write_numbers(results, found)
  windows = np.asarray(model.windows, np.float64)
  counts = write_vectors(
    results,
    first,
    found,
    np.asarray(model.slopes) / windows[:, None] ** 2,
    options,
    ignored=ignored,
    why='The frames may not be a pair, or the motion is beyond 32 pixels.',
  )
  _draw(results, first, found, model)
  results.summary = (
    f'{counts["valid_vectors"]} of {counts["vectors"]} vectors valid'
    f' ({model.kind})'
  )
  figures_of_merit = {
    'kind': model.kind,
    'window_pixels': windows.tolist(),
    'valid_fraction': float(found.valid.mean()),
    'median_sigma_pixels': _median_deviation(found),
    'confidence': np.asarray(model.nominal).tolist(),
    'coverage_on_known_field': np.asarray(model.coverage).tolist(),
    **counts,
  }
  if truth is not None:
    figures_of_merit |= truth.judge(
      results, found.mean, found.covariance, measured=found.valid, image=first
    )
  return figures_of_merit


def write_vectors(
  results: Results,
  first: np.ndarray,
  found: Measurement,
  slopes: np.ndarray | None,
  options: MeasurementOptions,
  *,
  ignored: np.ndarray | None,
  why: str,
) -> dict[str, Any]:
  """Writes the vectors as a table, as NetCDF and as a figure.

  Warns where most are not valid.

  Args:
    results: Results of the pair.
    first: First frame, [H, W, C].
    found: Displacements of all pixels.
    slopes: Variances of the error's derivatives, or None; see `grid_vectors`.
    options: Grid and calibration.
    ignored: Mask of pixels not to measure, [H, W] booleans; None is none.
    why: What may be the cause where most vectors are not valid.

  Returns:
    Figures of the report: the numbers of vectors and of valid ones, where the
    mask leaves pixels to measure; and the warning, if any.
  """
  field = grid_vectors(found, slopes, options)
  units = _units(field, options)
  vector_io.write_table(results.path('vectors.csv'), field, units=units)
  vector_io.write_netcdf(
    results.path('vectors.nc'), [field], units=units, title=results.name
  )
  plain = Units(options.pixels_per_mm, options.dt)
  speed = plain.length / plain.time
  points = np.stack([field['x'], field['y']], axis=-1) / plain.length
  figures.write_or_warn(
    results.picture('vectors.png', FIGURES['vectors.png']),
    lambda: figures.vector_figure(
      first,
      points,
      np.stack([field['u'], field['v']], axis=-1) / speed,
      np.hypot(field['sigma_u'], field['sigma_v']) / speed,
      title='Measured displacement',
    ),
  )
  columns, rows = np.moveaxis(np.rint(points).astype(int), -1, 0)
  total = field['valid'].size
  if ignored is not None:
    total = int((~ignored[rows, columns]).sum())
  return _count(results, int(field['valid'].sum()), total, why)


def _count(
  results: Results, num_valid: int, total: int, why: str
) -> dict[str, Any]:
  counts: dict[str, Any] = {'vectors': total, 'valid_vectors': num_valid}
  if num_valid < total / 2:
    names = ' to '.join(path.name for path in results.inputs)
    text = f'{num_valid} of {total} vectors valid from {names}. {why}'
    warnings.warn(f'warning: {text}', stacklevel=2)
    counts['warning'] = text
  return counts


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
  done: Sequence[Results],
  options: MeasurementOptions,
) -> None:
  """Writes the vectors of several pairs, from their files, and their mean."""
  pairs = [
    vector_io.read_netcdf(results.directory / 'vectors.nc') for results in done
  ]
  title = f'pairs {", ".join(results.name for results in done)}'
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
