"""Restoration of damaged pictures with known truth, beside other methods.

  python -m benchmarks.restoration --images=FOLDER --seeds=3

FOLDER holds the folders `denoise` (also for missing pixels), `jpeg` and
`deblur`, or the pictures themselves; without it, photographs of scikit-image
are taken. The damage is that of `restoration_problems`, the other methods those
of `restoration_rivals`. Each problem has a process of its own, in which the
pictures come one after another: the first one's time includes compilation.

PSNR is over all pixels of the result, clipped to the range and not rounded; of
deblurred pictures over the inner ones, at the best shift. Coverage and rank
correlation are those of the missing pixels where pixels are missing.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import jax
import numpy as np

from benchmarks import tables, timing
from benchmarks.restoration_problems import (
  PROBLEMS,
  Case,
  best_shift,
  options_of,
  pictures_of,
)
from benchmarks.restoration_rivals import rivals_of
from benchmarks.super_resolution_figures import decibels, detail
from internal_diffusion.applications.restoration import Restored, restore
from internal_diffusion.data import extract_patches
from internal_diffusion.evaluation import (
  calibration,
  distances,
  sparsification,
)

_NAME = 'restoration'
_PATCH = 7  # Side of the patches whose distribution is compared.
_NUM_PATCHES = 4096


def psnr_of(estimate: np.ndarray, case: Case) -> float:
  """PSNR in decibels, at the best shift where one is allowed."""
  judged = best_shift(estimate, case)
  truth = judged(case.truth) if not case.max_shift else inner(case)
  return decibels(judged(estimate).clip(-1, 1) - truth)


def inner(case: Case) -> np.ndarray:
  """The truth without the border that does not count."""
  inside = slice(case.border, -case.border) if case.border else slice(None)
  return case.truth[inside, inside]


def figures_of(found: Restored, case: Case, seed: int) -> dict[str, float]:
  """All figures of one restored picture."""
  judged, truth = best_shift(found.mean, case), inner(case)
  mean, std = judged(found.mean), judged(found.std)
  low, high = judged(found.low), judged(found.high)
  counts = np.ones(truth.shape, bool)
  if 'mask' in case.given:
    counts = case.given['mask'][..., None]
  error = np.abs(mean - truth)
  figures = {
    'psnr': decibels(mean.clip(-1, 1) - truth),
    'coverage': calibration.bounds_coverage(
      low[counts], np.maximum(low, high)[counts], truth[counts]
    ),
    'rank_correlation': sparsification.rank_correlation(
      std[counts], error[counts]
    ),
    'std_over_error': float(
      np.sqrt(np.mean(std[counts] ** 2) / np.mean(error[counts] ** 2))
    ),
    'mean_detail': detail(mean) / detail(truth),
    'mean_distance': patch_distance(mean, truth, seed),
  }
  if len(found.samples):
    samples = [judged(sample) for sample in found.samples]
    figures |= {
      'sample_psnr': statistics.fmean(
        decibels(sample.clip(-1, 1) - truth) for sample in samples
      ),
      'sample_detail': statistics.fmean(map(detail, samples)) / detail(truth),
      'sample_distance': patch_distance(samples[0], truth, seed),
      **consistency(found.samples, case),
    }
  return figures


def consistency(samples: np.ndarray, case: Case) -> dict[str, float]:
  """How far samples are from what was observed.

  For noise, the root mean square over that of the truth; for missing pixels,
  the largest difference of a known one, in grey levels of 255.
  """
  difference = samples - case.damaged
  match case.options['task']:
    case 'denoise':
      noise = np.sqrt(np.mean((case.truth - case.damaged) ** 2))
      misfit = np.sqrt(np.mean(difference**2))
      return {'sample_misfit_over_truth': float(misfit / noise)}
    case 'inpaint':
      known = np.abs(difference)[:, ~case.given['mask']]
      return {'sample_known_error': float(127.5 * known.max())}
  return {}


def patch_distance(image: np.ndarray, truth: np.ndarray, seed: int) -> float:
  """Sliced Wasserstein distance of the patches to those of the truth."""
  every = [
    np.asarray(extract_patches(picture, patch_size=_PATCH)).reshape(
      -1, _PATCH**2
    )
    for picture in (image, truth)
  ]
  chosen = np.random.default_rng(seed).choice(
    len(every[0]), min(_NUM_PATCHES, len(every[0])), replace=False
  )
  return distances.sliced_wasserstein(
    jax.random.key(seed), *(patches[chosen] for patches in every)
  )


def rival_figures(case: Case) -> dict[str, dict[str, float]]:
  """PSNR at its best strength and seconds of each other method."""
  found: dict[str, dict[str, float]] = {}
  for name, function in rivals_of(case):
    start = time.perf_counter()
    estimate = function()
    seconds = time.perf_counter() - start
    psnr = psnr_of(estimate, case)
    if name not in found or psnr > found[name]['psnr']:
      found[name] = {'psnr': psnr, 'seconds': seconds}
  return found


def measure(
  name: str, folder: pathlib.Path | None, options: argparse.Namespace
) -> list[dict[str, Any]]:
  """Worker process: the figures of all pictures and seeds of a problem."""
  problem, runs = PROBLEMS[name], []
  for picture, truth, path in pictures_of(problem, folder):
    if options.pictures and picture not in options.pictures.split(','):
      continue
    num_seeds = options.seeds if problem.is_random else 1
    for seed in range(num_seeds):
      case = problem.make(truth, seed, path)
      start = time.perf_counter()
      found = restore(
        jax.random.key(seed),
        case.damaged,
        options_of(case, num_samples=options.samples, seed=seed),
        **case.given,
      )
      seconds = time.perf_counter() - start
      run = {
        'picture': picture,
        'size': list(case.truth.shape[:2]),
        'seed': seed,
        'damaged_psnr': psnr_of(case.damaged, case),
        'seconds': seconds,
        **figures_of(found, case, seed),
        'found': {
          k: v
          for k, v in found.found.items()
          if isinstance(v, int | float | str)
        },
      }
      if not (options.no_rivals or problem.size):
        run['rivals'] = rival_figures(case)
      print(name, json.dumps(run), file=sys.stderr, flush=True)
      runs.append(run)
  return runs


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
  """Means over the pictures, and the spread of the means over the seeds."""
  names = [n for n, v in runs[0].items() if isinstance(v, float)]
  found: dict[str, Any] = {
    name: statistics.fmean(run[name] for run in runs) for name in names
  }
  by_seed: dict[int, list[float]] = {}
  for run in runs:
    by_seed.setdefault(run['seed'], []).append(run['psnr'])
  means = [statistics.fmean(values) for values in by_seed.values()]
  found['psnr_std_of_seeds'] = statistics.stdev(means) if means[1:] else 0.0
  found['first_seconds'] = runs[0]['seconds']
  if runs[1:]:  # Without compilation.
    found['seconds'] = statistics.median(run['seconds'] for run in runs[1:])
  for rival in runs[0].get('rivals', {}):
    values = [run['rivals'][rival] for run in runs]
    found.setdefault('rivals', {})[rival] = {
      name: statistics.fmean(value[name] for value in values)
      for name in ('psnr', 'seconds')
    }
  return found


def run_worker(name: str, arguments: list[str]) -> dict[str, Any]:
  """Runs and peak memory of a problem, measured in a new process."""
  command = (sys.executable, '-m', 'benchmarks.restoration', '--worker', name)
  output = subprocess.run(
    [*command, *arguments], check=True, stdout=subprocess.PIPE, text=True
  ).stdout
  return json.loads(output.splitlines()[-1])


def parse_options() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--worker', help=argparse.SUPPRESS)
  parser.add_argument('--images', type=pathlib.Path)
  parser.add_argument(
    '--only',
    help='starts of names of problems, separated by commas; the others keep'
    f' their results; all are {", ".join(PROBLEMS)}',
  )
  parser.add_argument('--pictures', help='names, separated by commas')
  parser.add_argument('--seeds', type=int, default=1)
  parser.add_argument('--samples', type=int, default=4)
  parser.add_argument('--no_rivals', action='store_true')
  return parser.parse_args()


def main() -> None:
  """Measures all problems and saves the results after each."""
  options = parse_options()
  if options.worker:
    runs = measure(options.worker, options.images, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({'runs': runs, 'peak_gib': peak}))
    return
  command = (
    'python -m benchmarks.restoration'
    f'{" --images=FOLDER" if options.images else ""}'
    f' --seeds={options.seeds} --samples={options.samples}'
  )
  problems: dict[str, Any] = {}
  if options.only and (timing.RESULTS / f'{_NAME}.json').exists():
    problems = tables.read(_NAME)['problems']
  for name in PROBLEMS:
    starts = tuple(options.only.split(',')) if options.only else ('',)
    is_asked = options.only or not PROBLEMS[name].is_rare
    if not (is_asked and name.startswith(starts)):
      continue
    measured = run_worker(name, sys.argv[1:])
    if not measured['runs']:
      continue
    problems[name] = {**measured, 'all': summary(measured['runs'])}
    timing.save(_NAME, command, {'problems': problems})


if __name__ == '__main__':
  main()
