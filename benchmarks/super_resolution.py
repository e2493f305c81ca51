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

PSNR and SSIM follow the literature: luminance of BT.601 at 16 to 235, the
result rounded to 8 bits, without `factor` pixels of the border (rounded up
where `--factor` is not an integer, which `--images` allows). All figures of
uncertainty are on that luminance too.
"""

import argparse
import json
import math
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from benchmarks import tables, timing
from internal_diffusion.applications import super_resolution
from internal_diffusion.applications.restoration.upscale import (
  upscale_by_splitting,
)
from internal_diffusion.applications.super_resolution.uncertainty import (
  WIDENING,
  estimate_uncertainty,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.downscaling import (
  Downscaling,
  make_downscaling,
  scaled_size,
)
from internal_diffusion.data.patches import extract_patches
from internal_diffusion.evaluation import (
  calibration,
  distances,
  fidelity,
  sparsification,
)

_BLACK, _WHITE = 16, 235  # Luma of BT.601 in an 8-bit image.
_COVERAGE = 0.9
_DETAIL_STDDEV = 1.0  # Of the Gaussian filter below detail, in pixels.
_LOOP = 'loop'  # Preset of the restoration loop.
_PATCH_SIZE, _NUM_PROJECTIONS = 7, 128  # Of the distance of patches.


def rounded(image: np.ndarray) -> np.ndarray:
  """Image in [-1, 1] rounded to 8 bits."""
  levels = np.round((np.asarray(image) + 1) * 127.5).clip(0, 255)
  return (levels / 127.5 - 1).astype(np.float32)


def luma(image: np.ndarray, border: int) -> np.ndarray:
  """Luminance without the border, [H, W, 1] in [-1, 1]."""
  inside = slice(border, -border)
  grey = (to_planes(rounded(image))[0][inside, inside, None] + 1) / 2
  return (_BLACK + (_WHITE - _BLACK) * grey) / 127.5 - 1


def decibels(values: np.ndarray) -> float:
  """PSNR of an error in [-2, 2]."""
  return float(10 * np.log10(4 / max(np.mean(np.square(values)), 1e-12)))


def detail(grey: np.ndarray) -> float:
  """Energy of an image [H, W, 1] above a Gaussian filter."""
  smooth = ndimage.gaussian_filter(grey[..., 0], _DETAIL_STDDEV)
  return float(np.mean(np.square(grey[..., 0] - smooth)))


def patch_distance(image: np.ndarray, truth: np.ndarray) -> float:
  """Sliced 2-Wasserstein distance of all patches of images [H, W, 1]."""
  patches = [
    extract_patches(values, patch_size=_PATCH_SIZE).reshape(-1, _PATCH_SIZE**2)
    for values in (image, truth)
  ]
  return distances.sliced_wasserstein(
    jax.random.key(0), *patches, num_projections=_NUM_PROJECTIONS
  )


def fidelity_of(image: np.ndarray, truth: np.ndarray) -> dict[str, float]:
  """Fidelity of luminance [H, W, 1]."""
  return {
    'psnr': fidelity.psnr(image, truth),
    'ssim': fidelity.ssim(image, truth),
    'detail_over_truth': detail(image) / detail(truth),
    'patch_distance': patch_distance(image, truth),
  }


def consistency(
  image: np.ndarray, low: np.ndarray, degradation: Downscaling
) -> float:
  """PSNR of the downscaled against the given image, all channels, in dB."""
  return decibels(np.asarray(degradation.apply(image)) - low)


def uncertainty_figures(
  samples: np.ndarray, mean: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
  """Calibration of samples [K, H, W, 1] against the error of the mean."""
  found, error = estimate_uncertainty(mean, samples), np.abs(mean - truth)
  predicted = found.std
  widened = mean + WIDENING * (samples - mean)
  return {
    'coverage_of_90': calibration.interval_coverage(widened, truth, _COVERAGE),
    'coverage_of_bounds': calibration.bounds_coverage(
      found.low, found.high, truth
    ),
    'spread_over_error': float(
      np.sqrt(np.mean((samples - mean) ** 2) / np.mean(error**2))
    ),
    'rank_correlation': sparsification.rank_correlation(predicted, error),
    'sparsification_area': sparsification.sparsification_curves(
      predicted, error
    ).area,
  }


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


def figures_of(
  found: super_resolution.Upscaled,
  low: np.ndarray,
  truth: np.ndarray,
  factor: float,
) -> dict[str, object]:
  """Figures of bicubic, the mean and the samples against the truth."""
  degradation = make_downscaling(low.shape[:2], truth.shape[:2])
  bicubic = np.asarray(degradation.interpolate(jnp.asarray(low)))
  border = math.ceil(factor)
  expected = luma(truth, border)
  mean = luma(found.mean, border)
  figures: dict[str, object] = {
    'bicubic': fidelity_of(luma(bicubic, border), expected),
    'mean': {
      **fidelity_of(mean, expected),
      'consistency': consistency(found.mean, low, degradation),
    },
  }
  if len(found.samples):
    samples = np.stack([luma(sample, border) for sample in found.samples])
    each = [fidelity_of(sample, expected) for sample in samples]
    figures['sample'] = {
      **mean_of(each),
      'consistency': statistics.fmean(
        consistency(sample, low, degradation) for sample in found.samples
      ),
    }
    figures['uncertainty'] = uncertainty_figures(samples, mean, expected)
  return figures


def mean_of(runs: list[dict[str, float]]) -> dict[str, float]:
  """Mean of each figure."""
  return {name: statistics.fmean(r[name] for r in runs) for name in runs[0]}


def summary(runs: list[dict[str, dict[str, float]]]) -> dict[str, object]:
  """Mean of each group of figures over the images."""
  groups = ('bicubic', 'mean', 'sample', 'uncertainty', 'seconds')
  found: dict[str, object] = {
    group: mean_of([run[group] for run in runs])
    for group in groups
    if group in runs[0]
  }
  return {**found, 'peak_gib': max(run['peak_gib'] for run in runs)}


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
