"""Measured displacement with known truth, beside OpenPIV.

  python -m benchmarks.measurement --openpiv=OPENPIV/bin/python

`measurement_rivals` says how OpenPIV is installed; without --openpiv, only this
library is measured. All pairs have the same options, and each learns its own
model. Errors are root-mean-square lengths of the error of the vector in pixels:
of each valid pixel (dense), and at OpenPIV's points. Intervals are judged for
each component of each valid pixel.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage

from benchmarks import measurement_images as images
from benchmarks import measurement_rivals as rivals
from benchmarks import timing
from internal_diffusion.applications.measurement import (
  Measurement,
  MeasurementModel,
  learn_measurement,
  measure,
)
from internal_diffusion.evaluation import sparsification

_NUM_SEEDS = 3
_GOOD = images.Recording()
_POOR = images.Recording(density=0.01, noise=0.1)
_EVERY = 7  # Pixels of a rank correlation are taken one in so many.
_QUANTILES = {'68': 1.0, '95': 1.96}
_WAVES = ('sine 24', 'sine 24, steep', 'sine 48')


def _seeded(field: images.Field, recording: images.Recording = _GOOD):
  return lambda seed: images.particles(seed, field, recording)


def _textured(texture: str, field: images.Field):
  return lambda seed: images.speckle(seed, field, texture, 0.01)


CASES: dict[str, Callable[[int], images.Pair]] = {
  'uniform': _seeded(images.uniform(3.3, -1.98)),
  'uniform, long': _seeded(images.uniform(25.3, -15.2)),
  'shear': _seeded(images.shear(0.03)),
  'rotation': _seeded(images.rotation(2.0)),
  'vortex': _seeded(images.vortex(5.0)),
  'vortex, fast': _seeded(images.vortex(10.0)),
  'sine 24': _seeded(images.sine(0.5, 24)),
  'sine 24, steep': _seeded(images.sine(1.0, 24)),
  'sine 48': _seeded(images.sine(1.0, 48)),
  'uniform, poor': _seeded(images.uniform(3.3, -1.98), _POOR),
  'vortex, poor': _seeded(images.vortex(5.0), _POOR),
  'speckle brick': _textured('brick', images.rotation(2.0)),
  'speckle grass': _textured('grass', images.vortex(3.0, 60.0)),
  'speckle gravel': _textured('gravel', images.sine(0.5, 48)),
  # No constant was chosen by what follows.
  'shear layer*': _seeded(images.shear_layer(4.0, 12.0)),
  'vortices of 80*': _seeded(images.vortex_array(2.0, 80.0)),
  'vortices of 40*': _seeded(
    images.vortex_array(1.0, 40.0), images.Recording(density=0.03)
  ),
  'strain, diameter 3.5*': _seeded(
    images.strain(0.04), images.Recording(diameter=3.5)
  ),
  'vortex, noise 6%*': _seeded(
    images.vortex(4.0, 40.0), images.Recording(noise=0.06)
  ),
  'vortex, loss 20%*': _seeded(
    images.vortex(4.0, 40.0), images.Recording(loss=0.2)
  ),
  'wave 32, diameter 4*': _seeded(
    images.sine(0.7, 32.0), images.Recording(diameter=4.0, density=0.02)
  ),
  'speckle grass, wave*': _textured('grass', images.sine(0.6, 64.0)),
  'speckle brick, vortices*': _textured(
    'brick', images.vortex_array(1.5, 90.0)
  ),
}


def as_frame(image: np.ndarray) -> np.ndarray:
  """A frame of 8 bits as [H, W, 1] in [-1, 1]."""
  return (image[..., None] / 127.5 - 1).astype(np.float32)


def judge(pair: images.Pair, python: str | None) -> dict[str, Any]:
  """Figures of one pair."""
  frames = as_frame(pair.first), as_frame(pair.second)
  start = time.perf_counter()
  model = learn_measurement(*frames)
  learnt = time.perf_counter()
  found = measure(model, *frames)
  measured = time.perf_counter()
  valid = found.valid
  errors = (found.mean - pair.truth)[valid]
  deviation = np.sqrt(found.covariance[..., [0, 1], [0, 1]][valid])
  figures = {
    'kind': model.kind,
    'windows': np.asarray(model.windows).tolist(),
    'valid': float(valid.mean()),
    'dense': _rms(errors),
    'held': _held(errors, deviation),
    'seconds': {'learning': learnt - start, 'measuring': measured - learnt},
    '_found': found,
    '_errors': np.abs(errors[::_EVERY]).ravel(),
    '_deviation': deviation[::_EVERY].ravel(),
  }
  if python is not None:
    figures |= _beside(python, pair, found)
  return figures


def _beside(
  python: str, pair: images.Pair, found: Measurement
) -> dict[str, Any]:
  """Figures of OpenPIV, and ours at its points."""
  points, vectors = rivals.openpiv(python, pair.first, pair.second)
  truth = images.at_middle(pair.field, points[..., 0], points[..., 1])
  rival_error = vectors - truth
  uncertainty = rivals.image_matching(pair.first, pair.second, points, vectors)
  places = [points[..., 1], points[..., 0]]
  own = np.stack(
    [
      scipy.ndimage.map_coordinates(part, places, order=3, mode='nearest')
      for part in np.moveaxis(found.mean - pair.truth, -1, 0)
    ],
    axis=-1,
  )
  seen = scipy.ndimage.map_coordinates(
    found.valid.astype(float), places, order=0, mode='nearest'
  )
  known = np.isfinite(uncertainty).all(axis=-1)
  return {
    'at_points': _rms(own[seen > 0]),
    'openpiv': _rms(rival_error[np.isfinite(rival_error).all(axis=-1)]),
    'openpiv_where_valid': _rms(rival_error[seen > 0]),
    'image_matching_held': _held(rival_error[known], uncertainty[known]),
    '_rival_errors': np.abs(rival_error[known]).ravel(),
    '_rival_deviation': uncertainty[known].ravel(),
    '_vectors': (points, vectors),
  }


def amplitude(
  measured: np.ndarray, truth: np.ndarray, chosen: np.ndarray
) -> float:
  """Part of a wave's amplitude that is measured."""
  product = (measured * truth)[chosen].sum()
  return float(product / (truth**2)[chosen].sum())


def peak_locking() -> dict[str, Any]:
  """Mean errors of shifts by eleven fractions of a pixel, with one model."""
  model: MeasurementModel | None = None
  shifts = np.linspace(0, 1, 11)
  means = []
  for seed, shift in enumerate(shifts):
    field = images.uniform(4 + shift, 0.0)
    pair = images.particles(seed, field, _GOOD)
    frames = as_frame(pair.first), as_frame(pair.second)
    model = model or learn_measurement(*frames)
    found = measure(model, *frames)
    means.append((found.mean - pair.truth)[found.valid].mean(axis=0).tolist())
  return {'shift': shifts.tolist(), 'mean_error': means}


def real_pair(python: str) -> dict[str, Any]:
  """OpenPIV's test images, which have no truth: how far both are apart."""
  pair = rivals.test_images(python)
  frames = [as_frame(image) for image in pair]
  found = measure(learn_measurement(*frames), *frames)
  points, vectors = rivals.openpiv(python, *pair)
  columns, rows = (
    np.rint(points[..., i]).astype(int).clip(0, side - 1)
    for i, side in enumerate(found.valid.shape[::-1])
  )
  good = found.valid[rows, columns] & np.isfinite(vectors).all(axis=-1)
  apart = np.linalg.norm(found.mean[rows, columns] - vectors, axis=-1)[good]
  variance = np.trace(found.covariance, axis1=-2, axis2=-1)[rows, columns]
  return {
    'valid': float(found.valid.mean()),
    'median_length': float(np.median(np.linalg.norm(vectors[good], axis=-1))),
    'median_distance': float(np.median(apart)),
    'median_sigma': float(np.sqrt(np.median(variance[good]))),
  }


def _rms(errors: np.ndarray) -> float:
  return float(np.sqrt(np.mean(np.sum(errors**2, axis=-1))))


def _held(errors: np.ndarray, deviation: np.ndarray) -> dict[str, list[float]]:
  """Parts of the errors of u and v that intervals hold."""
  relative = np.abs(errors) / deviation
  return {
    name: np.mean(relative <= bound, axis=0).tolist()
    for name, bound in _QUANTILES.items()
  }


def _waves(pair: images.Pair, figures: dict[str, Any]) -> dict[str, float]:
  """Parts of a vertical wave's amplitude that are measured."""
  found = figures['_found']
  parts = {
    'amplitude': amplitude(found.mean[..., 1], pair.truth[..., 1], found.valid)
  }
  if '_vectors' in figures:
    points, vectors = figures['_vectors']
    truth = images.at_middle(pair.field, points[..., 0], points[..., 1])
    known = np.isfinite(vectors[..., 1])
    parts['openpiv_amplitude'] = amplitude(
      vectors[..., 1], truth[..., 1], known
    )
  return parts


def run_case(name: str, python: str | None, num_seeds: int) -> dict[str, Any]:
  """Figures of all seeds of a case."""
  runs = []
  for seed in range(num_seeds):
    pair = CASES[name](seed)
    figures = judge(pair, python)
    if name in _WAVES:
      figures |= _waves(pair, figures)
    figures.pop('_vectors', None)
    figures.pop('_found')
    runs.append(figures)
    print(name, seed)
  return {'runs': runs}


def rank(runs: dict[str, Any], prefix: str) -> float | None:
  """Rank correlation of predicted and actual errors over all cases."""
  parts = [run for case in runs.values() for run in case['runs']]
  if not all(f'{prefix}errors' in run for run in parts):
    return None
  errors, deviation = (
    np.concatenate([run[f'{prefix}{name}'] for run in parts])
    for name in ('errors', 'deviation')
  )
  return sparsification.rank_correlation(deviation, errors)


def _public(runs: dict[str, Any]) -> dict[str, Any]:
  """The figures without the arrays."""
  return {
    name: [
      {k: v for k, v in run.items() if not k.startswith('_')}
      for run in case['runs']
    ]
    for name, case in runs.items()
  }


def main() -> None:
  """Runs all cases and saves the results after each."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--openpiv', help='the Python that has OpenPIV')
  parser.add_argument('--only', help='parts of case names, with commas between')
  parser.add_argument('--seeds', type=int, default=_NUM_SEEDS)
  options = parser.parse_args()
  command = 'python -m benchmarks.measurement --openpiv=OPENPIV/bin/python'
  runs: dict[str, Any] = {}
  chosen = (options.only or '').split(',')
  for name in CASES:
    if any(part in name for part in chosen):
      runs[name] = run_case(name, options.openpiv, options.seeds)
      result = {
        'cases': _public(runs),
        'rank_correlation': rank(runs, '_'),
        'image_matching_rank_correlation': rank(runs, '_rival_'),
      }
      if not options.only:
        timing.save('measurement', command, result)
  print({k: v for k, v in result.items() if k != 'cases'})
  if not options.only:
    result['peak_locking'] = peak_locking()
    if options.openpiv:
      result['openpiv_test_images'] = real_pair(options.openpiv)
    timing.save('measurement', command, result)


if __name__ == '__main__':
  main()
