"""Tables of the results of benchmarks/flow.py."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_NOTE = """Mean endpoint errors in pixels, of all pixels of known flow and of
textured ones. Coverage is the fraction of errors in their predicted ellipses of
90%. Log-likelihood of the errors under the predicted covariances, in nats, and
in brackets under the one Gaussian that fits them best; of u alone for stereo.
AUSE is the area between the sparsification curves over the mean error, by the
predicted standard deviation and in brackets by the disagreement of the flows
there and back: 0 is perfect. Std ratio: median standard deviation of the
posteriors of single pixels, untextured over textured; for the rotated disc, of
the disc over textured. Seconds of training, and of the estimation in both
directions with compilation. OpenCV: DIS at its medium preset down to full size,
Farneback. The constants of the covariance (applications/flow/covariance.py)
were chosen on Middlebury's four pairs, the motorcycle and three moved
photographs, so their coverage and AUSE are not those of unseen pairs. Venus's
truth lacks the 0.14 pixels of vertical motion that all methods find (TRIED.md),
which is most of the error of its coverage."""

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
  'std ratio',
  's',
]


def row(name: str, run: dict[str, Any]) -> list[str]:
  """Row of one pair of frames."""
  f, times = run['figures'], run['seconds']
  likelihood = (
    f'{f["log_likelihood"]:.2f} ({f["log_likelihood_one_gaussian"]:.2f})'
  )
  ratio = f['std_untextured_over_textured']
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
    f'{ratio:.1f}',
    f'{times["training"]:.0f}, {times["estimate_and_compile"]:.0f}',
  ]


_LAYERS_HEAD = [
  'pair',
  'AEPE',
  'visible',
  'occluded',
  'DIS',
  'Farneback',
  'coverage',
  'occlusion: precision, recall',
  'a mode is right',
  's',
]

_LAYERS_NOTE = """Moved cut-outs of photographs (benchmarks/flow_layers.py):
motion up to 30 pixels, 5 to 11% of the pixels occluded. Even pairs served
choices, odd ones did not. A mode is right: fraction of visible pixels with a
mode within 1.5 pixels of the truth."""


def layers_row(name: str, run: dict[str, Any]) -> list[str]:
  """Row of one pair with known occlusion."""
  f, times = run['figures'], run['seconds']
  return [
    name,
    f'{f["aepe"]:.3f}',
    f'{f["aepe_visible"]:.3f}',
    f'{f["aepe_occluded"]:.3f}',
    f'{run["rivals"]["DIS"]:.3f}',
    f'{run["rivals"]["Farneback"]:.3f}',
    f'{f["coverage"]:.1%}',
    f'{f["occlusion_precision"]:.0%}, {f["occlusion_recall"]:.0%}',
    f'{f["a_mode_within_1.5"]:.1%}',
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
      runs = results['runs'].items()
      layered = [item for item in runs if 'aepe_visible' in item[1]['figures']]
      rows = [row(*item) for item in runs if item not in layered]
      text = f'{table(_HEAD, rows)}\n\n{_NOTE}'
      if layered:
        rows = [layers_row(*item) for item in layered]
        text += f'\n\n{table(_LAYERS_HEAD, rows)}\n\n{_LAYERS_NOTE}'
      parts.append(section(title, results, text))
  return '\n\n'.join(parts)
