"""What benchmarks/super_resolution.py found, beside published figures."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_SUPER_RESOLUTION_NOTE = """Luminance of BT.601 at 16 to 235, rounded to 8 bits,
without a border as wide as the factor. Everything is learnt from the one small
image. Training and upscaling (a second one, compiled; and the first) in
seconds, memory at its peak over the images, in GiB. A sample: its PSNR and
SSIM; detail is the energy of what a Gaussian filter of one pixel takes away,
over the truth's; both become the given image when downscaled, to so many
decibels. Coverage is the share of the truth in 90% intervals: of the samples,
widened, and of the bounds that are written, the widening having been chosen on
Set5 at x2; rank correlation that of the
predicted deviation and the mean's error, AUSE the area between the
sparsification curves over the mean error (0 is perfect)."""
# As published, PSNR on Set5 by factor; not measured here.
_PUBLISHED = {
  'ZSSR (Shocher et al. 2018)': {2: 37.37, 3: 33.42, 4: 31.13},
  'SelfExSR (Huang et al. 2015)': {2: 36.50, 3: 32.62, 4: 30.33},
  'bicubic': {2: 33.64, 3: 30.39, 4: 28.42},
}


def fidelity_rows(runs: list[dict[str, Any]]) -> list[list[str]]:
  """Bicubic and the mean of each set, factor and preset, and published ones."""
  rows = []
  for run in runs:
    title = f'{run["set"]}, x{run["factor"]}'
    for index, (preset, found) in enumerate(run['presets'].items()):
      figures = found['all']
      times = figures['seconds']
      if index == 0:
        plain = figures['bicubic']
        quality = [f'{plain["psnr"]:.2f}', f'{plain["ssim"]:.4f}']
        rows.append([f'{title}, bicubic', *quality, '', '', ''])
      rows.append(
        [
          f'{title}, mean of `{preset}`',
          f'{figures["mean"]["psnr"]:.2f}',
          f'{figures["mean"]["ssim"]:.4f}',
          f'{times["training"]:.0f}',
          f'{times["mean"]:.1f} ({times["first_mean"]:.1f})',
          f'{figures["peak_gib"]:.1f}',
        ]
      )
    if run['set'] == 'set5':
      rows += [
        [
          f'{title}, {who}, published',
          f'{values[run["factor"]]:.2f}',
          *4 * [''],
        ]
        for who, values in _PUBLISHED.items()
        if run['factor'] in values
      ]
  return rows


def sample_rows(runs: list[dict[str, Any]]) -> list[list[str]]:
  """What the samples say, of each set, factor and preset that has them."""
  rows = []
  for run in runs:
    for preset, found in run['presets'].items():
      if 'sample' not in found['all']:
        continue
      mean, sample, uncertainty = (
        found['all'][name] for name in ('mean', 'sample', 'uncertainty')
      )
      rows.append(
        [
          f'{run["set"]}, x{run["factor"]}, `{preset}`',
          f'{sample["psnr"]:.2f} ({sample["psnr"] - mean["psnr"]:+.2f})',
          f'{sample["ssim"]:.4f}',
          f'{mean["detail_over_truth"]:.2f}, {sample["detail_over_truth"]:.2f}',
          f'{mean["consistency"]:.0f}, {sample["consistency"]:.0f}',
          f'{uncertainty["coverage_of_90"]:.1%},'
          f' {uncertainty["coverage_of_bounds"]:.1%}',
          f'{uncertainty["rank_correlation"]:.2f}',
          f'{uncertainty["sparsification_area"]:.2f}',
        ]
      )
  return rows


def super_resolution() -> str:
  """Upscaled images: fidelity beside published rivals, and uncertainty."""
  paths = sorted(timing.RESULTS.glob('super_resolution_*.json'))
  if not paths:
    return ''
  runs = [read(path.stem) for path in paths]
  fidelity = table(
    ['image set, system', 'PSNR', 'SSIM', 'training', 'upscaling', 'GiB'],
    fidelity_rows(runs),
  )
  samples = table(
    [
      'samples of',
      'PSNR (over the mean)',
      'SSIM',
      'detail of mean, sample',
      'consistency of mean, sample',
      'coverage of 90%',
      'rank correlation',
      'AUSE',
    ],
    sample_rows(runs),
  )
  body = f'{fidelity}\n\n{samples}\n\n{_SUPER_RESOLUTION_NOTE}'
  # Every file has its own, with its factor, presets and samples.
  command = (
    'python -m benchmarks.super_resolution --pairs=FOLDER --factor=2'
    ' --presets=fast,default --samples=8'
  )
  return section('Super-resolution', {**runs[0], 'command': command}, body)
