"""Tables of the results of benchmarks/editing.py and editing_fill.py."""

import math
import statistics
from typing import Any

from benchmarks.tables import read, section, table

_FILL_NOTE = """Rectangles of 32 to 96 pixels in pictures with a short side
of 256. Coherence: mean distance of the hole's patches to the nearest known
patches, over that of the PatchMatch fill. A blurred fill has a low one, and the
truth itself a high one. Detail: energy above a Gaussian filter of one pixel
over the truth's, geometric mean and, in brackets, the range of the middle half;
typical detail is that of the median pixel, which edges that only the truth has
do not change. Seam: holes whose border the rank test does not see (p above
0.05). `ours` is the first of four fills, `all four` are their means."""
_THIN_NOTE = """PSNR in the holes, in decibels."""
_RESOURCES_NOTE = """One answer in a process of its own: seconds of the process
with imports, of the first answer with compilation and of a later one (in
brackets: of all cores together, which other work on the machine does not
lengthen), and peak memory. A square with a tenth of the pixels missing;
4000x3000 with a hole of 40 pixels."""
_MODES_NOTE = """Four photographs of scikit-image at a short side of 128 pixels.
Low distance: root mean square of the low band (by 8) of a painted picture to
the painting's. Wasserstein: sliced distance of patches to the photograph's,
over that of `generate`. Change and diversity of variations: root mean square
difference from the photograph, and standard deviation between them over that
of `generate`."""


def fill() -> str:
  """Tables of fills of rectangles, thin holes, extensions and resources."""
  r = read('editing_fill')
  parts = []
  for tuned, title in ((True, 'tuned on'), (False, 'held out')):
    runs = [run for run in r['rectangles'] if run['tuned'] == tuned]
    if runs:
      names = ', '.join(dict.fromkeys(run['picture'] for run in runs))
      parts.append(f'Pictures {title} ({names}):\n\n{rectangles(runs)}')
  parts += [
    _FILL_NOTE,
    thin(r['thin']),
    _THIN_NOTE,
    extensions(r['extended']),
    resources(r['resources']),
    _RESOURCES_NOTE,
  ]
  return section('Editing: fill and extend', r, '\n\n'.join(parts))


def rectangles(runs: list[dict[str, Any]]) -> str:
  """Table of the fills of rectangles."""
  rows = []
  for name in runs[0]['fills']:
    own = [[run['fills'][name]] for run in runs]
    rows.append(_rectangle_row(name, own, runs))
  own = [run['samples'] for run in runs]
  rows.append(_rectangle_row('all four', own, runs))
  ratios = [f'{run["diversity"]:.2f}' for run in runs]
  equal = sum(run['known_is_equal'] for run in runs)
  head = ['fill', 'coherence', 'detail', 'typical detail', 'seam', 'seconds']
  return table(head, rows) + (
    f'\n\nKnown pixels are equal in {equal} of {len(runs)}. Diversity of four'
    f' fills over that of the picture: {", ".join(ratios)}.'
  )


def _rectangle_row(
  name: str, figures: list[list[dict[str, float]]], runs: list[dict[str, Any]]
) -> list[str]:
  coherence = statistics.mean(
    one['coherence'] / run['fills']['PatchMatch']['coherence']
    for several, run in zip(figures, runs, strict=True)
    for one in several
  )
  every = [one for several in figures for one in several]
  seamless = sum(one['seam_p_value'] > 0.05 for one in every)
  seconds = [run['seconds'][name] for run in runs if name in run['seconds']]
  return [
    name,
    f'{coherence:.2f}',
    _geometric([one['detail'] for one in every]),
    _geometric([one['typical_detail'] for one in every]),
    f'{seamless} of {len(every)}',
    f'{statistics.median(seconds):.1f}' if seconds else '',
  ]


def _geometric(values: list[float]) -> str:
  """Geometric mean and the range of the middle half."""
  logs = [math.log(max(value, 1e-6)) for value in values]
  low, _, high = (math.exp(x) for x in statistics.quantiles(logs, n=4))
  return f'{math.exp(statistics.mean(logs)):.2f} ({low:.2f} to {high:.2f})'


def thin(runs: list[dict[str, Any]]) -> str:
  """Table of thin holes."""
  rows = []
  for mask in dict.fromkeys(run['mask'] for run in runs):
    for tuned, title in ((True, 'tuned on'), (False, 'held out')):
      own = [
        run for run in runs if run['mask'] == mask and run['tuned'] == tuned
      ]
      if own:
        means = [
          statistics.mean(run[x] for run in own) for x in ('ours', 'biharmonic')
        ]
        rows.append(
          [mask, title, str(len(own)), *(f'{mean:.2f}' for mean in means)]
        )
  return table(['hole', 'pictures', 'number', 'ours', 'biharmonic'], rows)


def extensions(runs: list[dict[str, Any]]) -> str:
  """Table of extensions."""
  rows = [
    [
      run['picture'],
      f'{statistics.mean(run["coherence"]):.4f}',
      f'{statistics.mean(run["coherence_of_generate"]):.4f}',
      ', '.join(f'{p:.2f}' for p in run['seam_p_value']),
    ]
    for run in runs
  ]
  head = ['extended by half', 'coherence', 'of generate', 'p of the seam']
  return table(head, rows)


def resources(runs: dict[str, dict[str, float]]) -> str:
  """Table of time and memory."""
  rows = [
    [
      size,
      f'{run["process_seconds"]:.1f}',
      *(f'{run[x]:.1f} ({run[f"{x}_cpu"]:.1f})' for x in ('first', 'later')),
      f'{run["peak_gib"]:.2f}',
    ]
    for size, run in runs.items()
  ]
  return table(['size', 'process', 'first', 'later', 'GiB'], rows)


def modes() -> str:
  """Tables of harmonize, paint, vary and reference."""
  r = read('editing')
  body = '\n\n'.join(
    [
      harmonized(r['harmonize']),
      followed(r['by_strength']),
      _MODES_NOTE,
      low_bands(r['low_bands']),
    ]
  )
  return section('Editing: harmonize, paint, vary, reference', r, body)


def harmonized(runs: list[dict[str, Any]]) -> str:
  """Table of the errors of pasted objects."""
  methods = list(runs[0]['error'])
  rows = [
    [
      f'{run["picture"]}, {run["change"]}',
      *(f'{run["error"][method]:.1f}' for method in methods),
    ]
    for run in runs
  ]
  means = [
    statistics.mean(run['error'][method] for run in runs) for method in methods
  ]
  rows.append(['**mean**', *(f'{mean:.1f}' for mean in means)])
  equal = sum(run['background_is_equal'] for run in runs)
  return table(['object, change of tone', *methods], rows) + (
    '\n\nRoot mean square error over the object, in grey levels. The background'
    f' is equal in {equal} of {len(runs)}.'
  )


def followed(runs: dict[str, Any]) -> str:
  """Table of paint and vary by strength, mean over the photographs."""
  rows = []
  strengths = [
    x for x in next(iter(runs.values())) if x.replace('.', '').isdigit()
  ]
  for strength in strengths:
    cells = [
      statistics.mean(
        run[strength][name] / (run['generate'][scale] if scale else 1)
        for run in runs.values()
      )
      for name, scale in (
        ('paint_low_distance', None),
        ('paint_distance', 'distance'),
        ('vary_distance', None),
        ('vary_diversity', 'diversity'),
      )
    ]
    rows.append([strength, *(f'{cell:.3f}' for cell in cells)])
  default = [
    f'{name} {run["paint_default_distance"] / run["generate"]["distance"]:.2f}'
    for name, run in runs.items()
  ]
  head = [
    'strength',
    'paint: low distance',
    'paint: Wasserstein',
    'vary: change',
    'vary: diversity',
  ]
  return table(head, rows) + (
    f'\n\nPaint at its default, Wasserstein: {", ".join(default)}.'
  )


def low_bands(runs: dict[str, dict[str, float]]) -> str:
  """Table of the PSNR of the low bands of references."""
  factors = list(next(iter(runs.values())))
  rows = [
    [name, *(f'{run[factor]:.1f}' for factor in factors)]
    for name, run in runs.items()
  ]
  head = ['reference, low band in dB, factor', *factors]
  return table(head, rows)
