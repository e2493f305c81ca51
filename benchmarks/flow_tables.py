"""Tables of the results of benchmarks/flow.py."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_NOTE = """AEPE: mean endpoint error in pixels over all pixels of known
truth, and over textured ones. Coverage: fraction of the errors inside the
predicted 90% ellipses. Log-likelihood: that of the errors in nats under the
predicted covariances, in brackets under the best single Gaussian; of u alone
for stereo. AUSE: area between the sparsification curves over the mean error, by
the predicted uncertainty, in brackets by the forward-backward disagreement; 0
is perfect. Spread: median standard deviation of the pixel posteriors on
untextured over that on textured pixels; for the rotated disc, on its constant
part. Seconds of training, and of the flow in both directions with compilation.
OpenCV: DIS at its medium preset down to full size, and Farneback. The weights
of the error's features (applications/flow_spread.py) were chosen on
Middlebury's four pairs, the motorcycle and three moved photographs, so coverage
and AUSE of these pairs are not those of unseen data. Venus's truth lacks the
0.14 pixels of vertical motion that all methods find (TRIED.md), which causes
most misses of its ellipses."""

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
  """Row of one pair of frames."""
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
  """Tables of all results that exist."""
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
