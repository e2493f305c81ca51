"""Tables of the results of benchmarks/super_resolution.py."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_SUPER_RESOLUTION_NOTE = """PSNR in decibels and SSIM on the luminance of
BT.601 at 16 to 235, rounded to 8 bits, without a border as wide as the factor.
All training data come from the one small image. Seconds of training and of
upscaling (compiled; in brackets the first time), peak memory in GiB. Detail:
energy above a Gaussian filter of one pixel, over the truth's. Consistency: PSNR
of the downscaled result against the given image. Coverage: fraction of the
truth inside the 90% intervals of the widened samples, and inside the written
bounds; the widening was chosen on Set5 at x2. Rank correlation: that of the
predicted standard deviation and the error of the mean. AUSE: area between the
sparsification curves over the mean error (0 is perfect). `loop`: the loop of
`idiff-restore` with a mixture of Gaussians of the small image's patches."""
# Published PSNR on Set5 by factor, not measured here.
_PUBLISHED = {
  'ZSSR (Shocher et al. 2018)': {2: 37.37, 3: 33.42, 4: 31.13},
  'SelfExSR (Huang et al. 2015)': {2: 36.50, 3: 32.62, 4: 30.33},
  'bicubic': {2: 33.64, 3: 30.39, 4: 28.42},
}


def fidelity_rows(runs: list[dict[str, Any]]) -> list[list[str]]:
  """Rows of the mean's fidelity, with bicubic and published results."""
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
  """Rows of the fidelity and uncertainty of samples, where there are any."""
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
  """Tables of fidelity, beside published results, and of uncertainty."""
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
      'PSNR (minus that of the mean)',
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
  # Each file has its own command; this one stands for all.
  command = (
    'python -m benchmarks.super_resolution --pairs=FOLDER --factor=2'
    ' --presets=fast,default --samples=8'
  )
  return section('Super-resolution', {**runs[0], 'command': command}, body)
