"""What benchmarks/flow.py found."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_NOTE = """Mean endpoint errors in pixels, of all pixels of known truth and of
textured ones. Coverage is the share of errors in their predicted ellipses of
90%. Log-likelihood, in nats: of the errors under the predicted covariances, and
under the one Gaussian that fits them best; both of u alone for stereo. AUSE is
the area between the sparsification curves over the mean error, by the predicted
spread and by what the flows there and back disagree by: 0 is perfect. Spread:
what pixels alone say, median of untextured over that of textured ones; of the
rotated disc, of where nothing at all is to be seen. Seconds of training, and of
the flow both ways with compilation. OpenCV: DIS at its medium preset down to
full size, Farneback. The shares of the signs of error
(applications/flow_spread.py) were chosen on Middlebury's four pairs, the
motorcycle and three moved photographs, so coverage and AUSE of these are not of
unseen pairs. Venus's truth lacks the 0.14 pixels of vertical motion that all
methods find (TRIED.md), which is most of what its ellipses miss."""

_HEAD = [
  'pair',
  'AEPE',
  'textured',
  'DIS',
  'Farneback',
  'below 1 px',
  'coverage',
  'log-likelihood',
  'AUSE',
  'spread',
  's',
]


def row(name: str, run: dict[str, Any]) -> list[str]:
  """One pair."""
  f, times = run['figures'], run['seconds']
  likelihood = (
    f'{f["log_likelihood"]:.2f} ({f["log_likelihood_one_gaussian"]:.2f})'
  )
  spread = f['spread_untextured_over_textured']
  return [
    name,
    f'{f["aepe"]:.3f}',
    f'{f["aepe_textured"]:.3f}',
    f'{run["rivals"]["DIS"]:.3f}',
    f'{run["rivals"]["Farneback"]:.3f}',
    f'{f["below_1_pixel"]:.1%}',
    f'{f["coverage"]:.1%}',
    likelihood,
    f'{f["ause"]:.3f} ({f["ause_rival"]:.3f})',
    f'{spread:.1f}',
    f'{times["training"]:.0f}, {times["estimate_and_compile"]:.0f}',
  ]


def flow() -> str:
  """Every result of flow.py that there is."""
  parts = []
  for name, title in (
    ('flow', 'Optical flow'),
    ('flow_closed_form', 'Optical flow, closed form'),
  ):
    if (timing.RESULTS / f'{name}.json').exists():
      results = read(name)
      rows = [row(*item) for item in results['runs'].items()]
      parts.append(section(title, results, f'{table(_HEAD, rows)}\n\n{_NOTE}'))
  return '\n\n'.join(parts)
