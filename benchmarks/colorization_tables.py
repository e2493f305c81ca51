"""Tables of the benchmark of colorization."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.tables import read, section, table

_NOTE = """Photographs made grey. Upper table: 40 squares of 7x7 true colours on
a jittered grid, mean and standard deviation over the seeds of the grid; the
baseline is the least-squares colorization of Levin et al. 2004. Lower table:
the left half in colour is the reference of the right half; the baseline gives
each pixel the mean chroma of its luminance in the reference. Errors are in CIE
Lab, each ours / baseline. Coverage is that of the 90% intervals of all channels
and pixels; rank correlation is between predicted and actual error; spread is
that of samples over the error of the mean."""


def _cell(values: Iterable[float], digits: int = 2) -> str:
  """Mean, and standard deviation if there are several values."""
  values = list(values)
  text = f'{statistics.mean(values):.{digits}f}'
  if len(values) > 1:
    text += f' +- {statistics.stdev(values):.{digits}f}'
  return text


def _row(name: str, runs: list[dict[str, Any]]) -> list[str]:
  """Row of a table."""

  def both(figure: str) -> str:
    return ' / '.join(
      _cell(run[method][figure] for run in runs)
      for method in ('ours', 'baseline')
    )

  return [
    name,
    both('delta_e'),
    both('rmse_ab'),
    _cell(run['coverage_of_90'] for run in runs),
    _cell(run['rank_correlation'] for run in runs),
    _cell(run['spread_over_error'] for run in runs),
    _cell((statistics.median(run['seconds'] for run in runs),), 0),
  ]


def colorization() -> str:
  """Tables of colorization from marks and from a reference."""
  results = read('colorization')
  head = [
    'photograph',
    'Delta E',
    'RMSE of a, b',
    'coverage',
    'rank correlation',
    'spread',
    'seconds',
  ]

  def rows(runs: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    all_runs = [run for several in runs.values() for run in several]
    mean = _row('**all**', all_runs)
    return [*(_row(*item) for item in runs.items()), mean]

  halves = {name: [run] for name, run in results['halves'].items()}
  body = '\n\n'.join(
    [table(head, rows(results['marks'])), _NOTE, table(head, rows(halves))]
  )
  return section('Colorization', results, body)
