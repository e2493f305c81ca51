"""Tables of the results of benchmarks/video.py."""

from typing import Any

from benchmarks import timing
from benchmarks.tables import read, section, table

_NOTE = """Held-out frames are estimated from all other frames of the clip
(interpolation), or from those before (prediction). PSNR in decibels, means over
frames. DIS warps both neighbours half way, or the last frame by the motion
before it; the average is that of both neighbours, the copy the last frame.
Coverage: errors within the 90% intervals, 1.645 standard deviations. `pace
doubled`: every second frame is held out, and errors are extrapolated from
larger steps; `samples within`: deviations of a sample within the same
intervals; flicker over that of the true frames. The made clips are photographs
of scikit-image, seen by a moving camera, or an object that moves over a
background."""
_GENERATION_NOTE = """New clips of the real clip's length and size. NNFDIV: size
of the compressed field of nearest patches over that of the field. Distance:
sliced Wasserstein distance of patches of 3x7x7 to the clip, over that between
its halves. Flicker: mean absolute second difference in time, over the
clip's."""


def frame_rows(results: dict[str, Any], part: str, rival: str) -> str:
  """Table of interpolation or prediction."""
  rows = []
  for name, run in results.items():
    f = run[part]
    rows.append(
      [name]
      + [f'{f[own]:.2f}' for own in ('psnr', 'dis', rival, 'sample_psnr')]
      + [f'{f["ssim"]:.4f}', f'{100 * f["coverage"]:.0f}%']
    )
  head = ['clip', 'ours', 'DIS', rival, 'a sample', 'SSIM', 'coverage']
  return f'{part.capitalize()}:\n\n{table(head, rows)}'


def video() -> str:
  """All tables; empty where the benchmark has not run."""
  if not (timing.RESULTS / 'video.json').exists():
    return ''
  r = read('video')
  parts = []
  if 'frames' in r:
    parts += [
      frame_rows(r['frames'], 'interpolation', 'average'),
      frame_rows(r['frames'], 'prediction', 'copy'),
    ]
  if 'finer' in r:
    rows = [
      [
        name,
        f'{f["psnr"]:.2f}',
        f'{f["dis"]:.2f}',
        f'{100 * f["coverage"]:.0f}%',
        # Runs of an earlier version lack the samples.
        f'{100 * f["sample_coverage"]:.0f}%' if 'flicker' in f else '',
        f'{f["flicker"]:.2f}' if 'flicker' in f else '',
      ]
      for name, f in r['finer'].items()
    ]
    head = ['pace doubled', 'ours', 'DIS', 'coverage']
    head += ['samples within', 'flicker of a sample']
    parts += [table(head, rows), _NOTE]
  if 'fill' in r:
    rows = [
      [f'{name} camera', f'{f["psnr_in_hole"]:.1f}', f'{f["seconds"]:.0f}']
      for name, f in r['fill'].items()
    ]
    parts.append(table(['fill', 'PSNR in the hole', 's'], rows))
  if 'upscale' in r:
    names = ('psnr', 'bicubic', 'sample_psnr')
    rows = [
      [name]
      + [f'{f[own]:.2f}' for own in names]
      + [f'{100 * f["coverage"]:.0f}%']
      for name, f in r['upscale'].items()
    ]
    head = ['upscaled by 2', 'ours', 'bicubic', 'a sample', 'coverage']
    parts.append(table(head, rows))
  if 'generate' in r:
    parts += [generation(r['generate']), _GENERATION_NOTE]
  return section('Video', r, '\n\n'.join(parts))


def generation(results: dict[str, Any]) -> str:
  """Table of new clips."""
  names = {
    'nnf_diversity': 'NNFDIV',
    'copied_fraction': 'copied',
    'sliced_wasserstein_over_halves': 'distance',
    'flicker_over_reference': 'flicker',
    'seconds': 's',
  }
  rows = [
    [f'clip {index}', *(f'{run[name]:.2f}' for name in names)]
    for index, run in enumerate(results['runs'])
  ]
  body = table(['new clip', *names.values()], rows)
  return f'{body}\n\nPeak memory: {results["gib"]:.2f} GiB.'
