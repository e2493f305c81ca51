"""Super-resolution of photographs: fidelity, uncertainty, time and memory.

  python -m benchmarks.super_resolution --pairs=FOLDER --factor=2 --samples=8
  python -m benchmarks.super_resolution --images=FOLDER --factor=3
  python -m benchmarks.super_resolution --pairs=FOLDER --presets=loop

`--pairs` holds NAME_HR.png and NAME_LR.png. `--images` holds true images, which
are downscaled by the library's antialiased bicubic kernel and rounded to 8
bits. Each image and preset has a process of its own, so peak memory is its own
and its times include compilation; a second upscaling of the image measures them
without. Results of other presets are kept. The preset `loop` is the restoration
loop with a mixture of Gaussians, which has no training but the fit and gives no
samples.

`--images` allows factors that are not integers. The figures are those of
`super_resolution_figures`.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time

import jax
import numpy as np

from benchmarks import tables, timing
from benchmarks.super_resolution_figures import figures_of, rounded, summary
from internal_diffusion.applications import super_resolution
from internal_diffusion.applications.restoration.upscale import (
  upscale_by_splitting,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.downscaling import (
  make_downscaling,
  scaled_size,
)

_LOOP = 'loop'  # Preset of the restoration loop.


def pair_of(
  path: pathlib.Path, low_path: pathlib.Path | None, factor: float
) -> tuple[np.ndarray, np.ndarray]:
  """True image [s h, s w, C] and given image [h, w, C]."""
  truth = image_io.read_image(path, channels=None)
  rows, columns = (int(side // factor) for side in truth.shape[:2])
  low_size = rows, columns
  height, width = scaled_size(low_size, factor)
  truth = truth[:height, :width]
  if low_path is not None:
    return truth, image_io.read_image(low_path, channels=truth.shape[-1])
  degradation = make_downscaling(low_size, truth.shape[:2])
  return truth, rounded(degradation.apply(truth))


def measure(
  path: pathlib.Path,
  low_path: pathlib.Path | None,
  *,
  factor: float,
  preset: str,
  num_samples: int,
  seed: int,
) -> dict[str, object]:
  """Worker process: all figures of an image."""
  truth, low = pair_of(path, low_path, factor)
  if preset == _LOOP:
    return measure_loop(truth, low, factor=factor, seed=seed)
  options = super_resolution.UpscaleOptions(
    factor=factor,
    preset=super_resolution.Preset(preset),
    mean_only=not num_samples,
    seed=seed,
  )
  key, seconds = jax.random.key(seed), dict[str, float]()

  def upscale(name: str, num: int) -> super_resolution.Upscaled:
    start = time.perf_counter()
    found = super_resolution.upscale(
      key, upscaler, low, factor=factor, num_samples=num
    )
    seconds[name] = time.perf_counter() - start
    return found

  start = time.perf_counter()
  upscaler = super_resolution.learn_upscaler(low, options)
  seconds['training'] = time.perf_counter() - start
  upscale('first_mean', 0)
  found = upscale('mean', 0)
  if num_samples:
    upscale('first_sample', 1)
    found = upscale('samples', num_samples)
  return report(found, low, truth, factor, seconds)


def measure_loop(
  truth: np.ndarray, low: np.ndarray, *, factor: float, seed: int
) -> dict[str, object]:
  """The same figures of the restoration loop, whose fit counts as upscaling."""
  seconds = {'training': 0.0}
  for name in ('first_mean', 'mean'):
    start = time.perf_counter()
    mean = upscale_by_splitting(jax.random.key(seed), low, factor=factor)
    seconds[name] = time.perf_counter() - start
  nothing = np.empty((0, *mean.shape), np.float32)
  found = super_resolution.Upscaled(mean, nothing)
  return report(found, low, truth, factor, seconds)


def report(
  found: super_resolution.Upscaled,
  low: np.ndarray,
  truth: np.ndarray,
  factor: float,
  seconds: dict[str, float],
) -> dict[str, object]:
  """All figures of an image, and the peak memory of this process."""
  return {
    'size': truth.shape[:2],
    **figures_of(found, low, truth, factor),
    'seconds': seconds,
    'peak_gib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
  }


def images_in(
  options: argparse.Namespace,
) -> dict[str, tuple[pathlib.Path, pathlib.Path | None]]:
  """Paths of the true and the given image, by name."""
  found: dict[str, tuple[pathlib.Path, pathlib.Path | None]]
  if options.pairs:
    ending = '_HR.png'
    paths = sorted(pathlib.Path(options.pairs).glob(f'*{ending}'))
    names = [path.name.removesuffix(ending) for path in paths]
    found = {
      name: (path, path.with_name(f'{name}_LR.png'))
      for name, path in zip(names, paths, strict=True)
    }
  else:
    paths = sorted(pathlib.Path(options.images).iterdir())
    found = {path.stem: (path, None) for path in paths}
  if options.only:
    found = {name: found[name] for name in options.only.split(',')}
  if not found:
    raise SystemExit('There are no images in the folder.')
  return found


def set_name(folder: pathlib.Path) -> str:
  """Name of the folder, or of its parent where it is a factor such as X2."""
  own = folder.resolve()
  is_factor = own.name[:1].lower() == 'x' and own.name[1:].isdigit()
  return own.parent.name if is_factor else own.name


def run_worker(*arguments: object) -> dict[str, object]:
  """Result of `measure` in a new process."""
  command = (sys.executable, '-m', 'benchmarks.super_resolution', '--worker')
  output = subprocess.run(
    [*command, *map(str, arguments)],
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout
  return json.loads(output.splitlines()[-1])


def number(text: str) -> float:
  """Number of a text; an integer where it is one."""
  value = float(text)
  return int(value) if value.is_integer() else value


def worker(arguments: list[str]) -> None:
  """Prints the figures of an image as JSON."""
  path, low_path, factor, preset, num_samples, seed = arguments
  found = measure(
    pathlib.Path(path),
    None if low_path == 'None' else pathlib.Path(low_path),
    factor=number(factor),
    preset=preset,
    num_samples=int(num_samples),
    seed=int(seed),
  )
  print(json.dumps(found))


def parse_options() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--worker', nargs=6, help=argparse.SUPPRESS)
  where = parser.add_mutually_exclusive_group()
  where.add_argument('--pairs', help='folder of NAME_HR.png, NAME_LR.png')
  where.add_argument('--images', help='folder of true images')
  parser.add_argument(
    '--only', help='names of images, separated by commas; default all'
  )
  parser.add_argument('--factor', type=number, default=2)
  parser.add_argument('--presets', default='fast,default')
  parser.add_argument('--samples', type=int, default=0)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--name', help='name of the results; default the name of the set'
  )
  options = parser.parse_args()
  if not (options.worker or options.pairs or options.images):
    parser.error('one of --pairs and --images is needed')
  return options


def main() -> None:
  """Runs all measurements and saves the results."""
  options = parse_options()
  if options.worker:
    worker(options.worker)
    return
  folder = pathlib.Path(options.pairs or options.images)
  image_set = options.name or set_name(folder)
  name = f'super_resolution_{image_set}_x{options.factor:g}'
  command = (
    f'python -m benchmarks.super_resolution --factor={options.factor:g}'
    f' --presets={options.presets} --samples={options.samples}'
  )
  presets: dict[str, object] = {}
  if (timing.RESULTS / f'{name}.json').exists():
    presets = tables.read(name)['presets']
  for preset in options.presets.split(','):
    runs = {}
    for image, paths in images_in(options).items():
      runs[image] = run_worker(
        *paths, options.factor, preset, options.samples, options.seed
      )
      print(preset, image, json.dumps(runs[image]), flush=True)
    presets[preset] = {
      'command': command,
      'images': runs,
      'all': summary(list(runs.values())),
    }
    timing.save(
      name,
      command,
      {'set': image_set, 'factor': options.factor, 'presets': presets},
    )


if __name__ == '__main__':
  main()
