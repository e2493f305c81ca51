"""Tables of the results of benchmarks/restoration.py."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_NAME = 'restoration'
_NOTE = """PSNR in decibels over all pixels, clipped and not rounded (deblurred:
without 15 pixels of each side, at the best shift up to 6 pixels), mean over the
pictures; with several seeds of noise and masks, after +- the standard deviation
of that mean. Other methods of scikit-image and OpenCV on the same damaged
pictures, at the strength that is best for each picture, which needs the truth.
Coverage of the 90% intervals and rank correlation of predicted and actual
error: of missing pixels only, where pixels are missing. Detail: energy above a
Gaussian filter of one pixel over the truth's. Distance: sliced Wasserstein
distance of 7x7 patches to the truth's. Misfit: distance of the samples from the
noisy picture over the truth's, or the largest change of a known pixel. Seconds
of a picture after the first, and in brackets of the first, with compilation;
peak memory in GiB."""
# Published or measured elsewhere, mean PSNR on Set12's first seven, for a look.
_PUBLISHED = {
  'denoise_15': 'BM3D 32.14',
  'denoise_25': 'BM3D 29.66',
  'denoise_50': 'BM3D 26.34',
}


def fidelity_row(name: str, figures: dict[str, Any], problem: Any) -> list[str]:
  """Row of the mean's fidelity, the rivals and the time."""
  rivals = [
    f'{rival} {value["psnr"]:.2f}'
    for rival, value in figures.get('rivals', {}).items()
  ]
  if name in _PUBLISHED and is_set12(problem['runs']):
    rivals.append(f'{_PUBLISHED[name]} (published)')
  spread = figures['psnr_std_of_seeds']
  later = figures.get('seconds', figures['first_seconds'])
  return [
    f'`{name}`',
    str(len({run['picture'] for run in problem['runs']})),
    f'{figures["damaged_psnr"]:.2f}',
    f'{figures["psnr"]:.2f}' + (f' +- {spread:.2f}' if spread else ''),
    ', '.join(rivals),
    f'{later:.1f} ({figures["first_seconds"]:.1f})',
    f'{problem["peak_gib"]:.1f}',
  ]


def is_set12(runs: list[dict[str, Any]]) -> bool:
  """Whether the pictures are the first seven of Set12."""
  names = {run['picture'] for run in runs}
  return names == {f'{number:02d}' for number in range(1, 8)}


def uncertainty_row(name: str, figures: dict[str, Any]) -> list[str]:
  """Row of the uncertainty and the samples."""

  def pair(what: str) -> str:
    if f'sample_{what}' not in figures:
      return f'{figures[f"mean_{what}"]:.2f}'
    return f'{figures[f"mean_{what}"]:.2f}, {figures[f"sample_{what}"]:.2f}'

  sample = figures.get('sample_psnr')
  return [
    f'`{name}`',
    f'{figures["coverage"]:.1%}',
    f'{figures["rank_correlation"]:.2f}',
    f'{figures["std_over_error"]:.2f}',
    '' if sample is None else f'{sample:.2f}',
    pair('detail'),
    pair('distance'),
    consistency(figures),
  ]


def consistency(figures: dict[str, Any]) -> str:
  """How far samples are from the observation."""
  if 'sample_misfit_over_truth' in figures:
    return f'{figures["sample_misfit_over_truth"]:.3f}'
  if 'sample_known_error' in figures:
    return f'{figures["sample_known_error"]:.1g} grey levels'
  return ''


def restoration() -> str:
  """Tables of fidelity, of uncertainty and of single pictures."""
  if not (timing.RESULTS / f'{_NAME}.json').exists():
    return ''
  results = read(_NAME)
  problems = results['problems']
  fidelity = table(
    ['problem', 'pictures', 'damaged', 'mean', 'others', 'seconds', 'GiB'],
    [fidelity_row(name, p['all'], p) for name, p in problems.items()],
  )
  uncertainty = table(
    [
      'problem',
      'coverage of 90%',
      'rank correlation',
      'predicted over actual error',
      'PSNR of a sample',
      'detail of mean, sample',
      'distance of mean, sample',
      'misfit of samples',
    ],
    [uncertainty_row(name, p['all']) for name, p in problems.items()],
  )
  single = table(
    ['problem', 'PSNR of each picture (coverage of 90%), first seed'],
    [
      [
        f'`{name}`',
        ', '.join(
          f'{run["picture"]} {run["psnr"]:.2f} ({run["coverage"]:.0%})'
          for run in problem['runs']
          if run['seed'] == 0
        ),
      ]
      for name, problem in problems.items()
    ],
  )
  body = f'{fidelity}\n\n{uncertainty}\n\n{single}\n\n{_NOTE}'
  return section('Restoration', results, body)
