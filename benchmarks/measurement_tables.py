"""Tables of the results of benchmarks/measurement.py."""

from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.tables import read, section, table

_NOTE = """Root-mean-square length of the error of the vector, in pixels, mean
of three seeds: of all valid pixels, at OpenPIV's points, and OpenPIV's with
windows of 64, 32 and 16 pixels. Then the parts of the errors of u and v that
intervals of 68% and 95% hold, of this library, and of image matching at
OpenPIV's points. Windows: sides of what u and v stand for. Poor frames have a
density of 0.01 and noise of 10%. Frames have 256x256 pixels, particles a
diameter of 2.5, a density of 0.05 per pixel, noise of 2% and a loss of 5%. The
vortex has a core of 25 pixels; waves are vertical motion along x, their number
the wavelength in pixels, with amplitudes of 0.5 and, steep and 48, 1 pixel.
The constants of the calibration were chosen on other seeds of the cases without
a star; by those with one, nothing was chosen."""

_HEAD = [
  'case',
  'dense',
  'at points',
  'OpenPIV',
  '68%: u, v',
  '95%: u, v',
  'image matching, 68%; 95%',
  'windows',
  'amplitude (OpenPIV)',
]


def _mean(runs: list[dict[str, Any]], *names: str) -> Any:
  values = []
  for run in runs:
    value: Any = run
    for name in names:
      value = value[name]
    values.append(value)
  return np.mean(values, axis=0)


def _percent(values: np.ndarray) -> str:
  return ', '.join(f'{100 * value:.0f}' for value in values)


def row(name: str, runs: list[dict[str, Any]]) -> list[str]:
  """Row of one case."""
  waves = ''
  if 'amplitude' in runs[0]:
    own, rival = (
      _mean(runs, key) for key in ('amplitude', 'openpiv_amplitude')
    )
    waves = f'{own:.2f} ({rival:.2f})'
  rival_held = [
    _percent(_mean(runs, 'image_matching_held', level))
    for level in ('68', '95')
  ]
  return [
    name,
    *(f'{_mean(runs, key):.3f}' for key in ('dense', 'at_points', 'openpiv')),
    *(_percent(_mean(runs, 'held', level)) for level in ('68', '95')),
    '; '.join(rival_held),
    ', '.join(f'{value:.0f}' for value in _mean(runs, 'windows')),
    waves,
  ]


def measurement() -> str:
  """The table and what it means; nothing without results."""
  if not (timing.RESULTS / 'measurement.json').exists():
    return ''
  results = read('measurement')
  rows = [row(*item) for item in results['cases'].items()]
  locking = np.abs(results['peak_locking']['mean_error']).max()
  last = (
    'Rank correlation of predicted and actual errors over all cases:'
    f' {results["rank_correlation"]:.2f}, of image matching'
    f' {results["image_matching_rank_correlation"]:.2f}. Largest mean error of'
    f' shifts by eleven fractions of a pixel: {locking:.4f} pixels.'
  )
  body = f'{table(_HEAD, rows)}\n\n{_NOTE} {last}'
  return section('Measured displacement', results, body)
