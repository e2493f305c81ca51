"""New images of photographs: time, quality and growth, beside a baseline.

  python -m benchmarks.generation --baseline='python closed_form.py'

Generates images from scikit-image's photographs (and from a folder,
`--images`) at a short side of 160 pixels. Each photograph has a process of its
own, so the first image includes the start and all compilation. The baseline is
a command with the arguments IMAGE OUT_PREFIX --backend NAME --samples N. It
prints a line with `sample 12.3s` for each image and writes OUT_PREFIX_*.png.
Quality is that of `idiff-evaluate`, for both systems.

The photographs of `--learned` also train a cascade (configs/cascade.py). Seams:
steps across the wrapped border of a tileable image are compared with those
between all other neighbouring lines. Growth: one photograph at several sizes.
"""

import argparse
import json
import pathlib
import re
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from benchmarks import timing
from internal_diffusion.applications.images import (
  generate,
  make_cascade_prior,
  make_image_prior,
)
from internal_diffusion.applications.patches import (
  cascade_options,
  learn_patches,
)
from internal_diffusion.data import image_io, pyramid
from internal_diffusion.evaluation.image_report import compare_images
from internal_diffusion.sampling.wrapping import WrappedBorder

_PHOTOGRAPHS = ('coffee', 'rocket', 'chelsea', 'grass', 'gravel')
_SHORT_SIDE = 160
_GROWTH = (100, 160, 256, 512, 1024)


def photographs(folder: str | None) -> dict[str, np.ndarray]:
  """Photographs by name at their full size, [H, W, 3] in [-1, 1]."""
  found = {}
  for name in _PHOTOGRAPHS:
    pixels = np.atleast_3d(getattr(skimage.data, name)())
    if pixels.shape[-1] == 1:
      pixels = np.repeat(pixels, 3, axis=-1)
    found[name] = 2 * pixels.astype(np.float32) / 255 - 1
  for path in sorted(pathlib.Path(folder).iterdir()) if folder else ():
    found[path.stem] = image_io.read_image(path, channels=3)
  return found


def at_short_side(image: np.ndarray, side: int) -> np.ndarray:
  """Image resized to a given shorter side."""
  scale = side / min(image.shape[:2])
  height, width = (round(length * scale) for length in image.shape[:2])
  return np.asarray(pyramid.resize(jnp.asarray(image), (height, width)))


def make_images(
  image_path: str, prefix: str, num_samples: int, denoiser: str
) -> None:
  """Worker process: generates images, prints times and peak memory."""
  start = time.perf_counter()
  image = image_io.read_image(image_path, channels=3)
  if denoiser == 'learned':
    prior = make_cascade_prior(learn_patches(image, cascade_options()), image)
  else:
    prior = make_image_prior(image)
  seconds = {'setup': time.perf_counter() - start, 'samples': []}
  for seed in range(num_samples):
    begin = time.perf_counter()
    made = generate(jax.random.key(seed), prior)[0]
    seconds['samples'].append(time.perf_counter() - begin)
    image_io.write_image(f'{prefix}_{seed}.png', made)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(json.dumps({**seconds, 'peak_gib': peak}))


def run_ours(
  path: pathlib.Path, prefix: str, num: int, denoiser: str = 'closed_form'
) -> dict[str, object]:
  """Times of a new process; `first_image` includes its start."""
  start = time.perf_counter()
  command = (sys.executable, '-m', 'benchmarks.generation', '--worker')
  arguments = (str(path), prefix, str(num), denoiser)
  output = subprocess.run(
    [*command, *arguments], check=True, capture_output=True, text=True
  ).stdout
  whole = time.perf_counter() - start
  found = json.loads(output.splitlines()[-1])
  later = found['samples'][1:]
  return {
    'setup': found['setup'],
    'first_image': whole - sum(later),
    'sample': statistics.median(later),
    'samples': found['samples'],
    'peak_gib': found['peak_gib'],
  }


def run_baseline(
  command: str, path: pathlib.Path, prefix: str, *, backend: str, num: int
) -> dict[str, object]:
  """Times printed by the baseline."""
  options = ('--backend', backend, '--samples', str(num))
  output = subprocess.run(
    [*shlex.split(command), str(path), prefix, *options],
    check=True,
    capture_output=True,
    text=True,
  ).stdout
  times = [float(t) for t in re.findall(r'sample ([0-9.]+)s', output)]
  return {'sample': times[min(1, len(times) - 1)], 'samples': times}


def quality(folder: pathlib.Path, image: np.ndarray) -> dict[str, float]:
  """Mean statistics of the images in a folder."""
  made = [image_io.read_image(p, channels=3) for p in sorted(folder.iterdir())]
  found = compare_images(jax.random.key(0), made, image)
  diversity = {k: v for k, v in found.items() if k.endswith('diversity')}
  return {**found['mean'], **diversity}


def compare(
  images: dict[str, np.ndarray],
  baseline: str | None,
  *,
  num_samples: int,
  exact: Sequence[str],
  learned: Sequence[str],
) -> dict[str, object]:
  """Results of every system on every photograph."""
  runs: dict[str, dict[str, object]] = {}
  for name, full in images.items():
    image = at_short_side(full, _SHORT_SIDE)
    with tempfile.TemporaryDirectory() as folder:
      root = pathlib.Path(folder)
      path = root / f'{name}.png'
      image_io.write_image(path, image)
      image = image_io.read_image(path, channels=3)
      systems = ['ours'] + (['learned'] if name in learned else [])
      if baseline:
        systems += ['ann'] + (['exact'] if name in exact else [])
      runs[name] = {}
      for system in systems:
        own = root / system
        own.mkdir()
        prefix = str(own / 'made')
        if system in ('ours', 'learned'):
          denoiser = 'closed_form' if system == 'ours' else system
          times = run_ours(path, prefix, num_samples, denoiser)
        else:
          assert baseline is not None
          num = 2 if system == 'exact' else num_samples
          times = run_baseline(baseline, path, prefix, backend=system, num=num)
        runs[name][system] = {'seconds': times, 'quality': quality(own, image)}
        print(name, system, json.dumps(runs[name][system]), flush=True)
  return runs


def seam_p_values(image: np.ndarray) -> dict[str, float]:
  """P-values of the seams of a tileable image, for both axes.

  Each pair of neighbouring lines has a mean absolute step. The rank of the
  wrapped pair's step among all of them gives an exact two-sided p-value of the
  hypothesis that all pairs have the same distribution.
  """
  made = generate(
    jax.random.key(0), make_image_prior(image), constraints=[WrappedBorder()]
  )[0]
  found = {}
  for axis, name in enumerate(('vertical', 'horizontal')):
    steps = np.abs(made - np.roll(made, 1, axis))
    seam, *inside = np.moveaxis(steps, axis, 0).mean(axis=(1, 2))
    rank = np.mean(np.array(inside) >= seam)
    found[name] = float(min(1.0, 2 * min(rank, 1 - rank) + 1 / len(inside)))
  return found


def growth(image: np.ndarray) -> list[dict[str, object]]:
  """Time and memory at several sizes."""
  found = []
  for side in _GROWTH:
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'image.png'
      square = image[:, : min(image.shape[:2])]
      image_io.write_image(path, at_short_side(square, side))
      times = run_ours(path, f'{folder}/made', 3)
    found.append({'side': side, **times})
    print(json.dumps(found[-1]), flush=True)
  return found


def main() -> None:
  """Runs all measurements and saves the results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
    '--worker', nargs=4, metavar=('IMAGE', 'PREFIX', 'NUM', 'DENOISER')
  )
  parser.add_argument('--images', help='folder of more photographs')
  parser.add_argument('--baseline', help='command of the baseline')
  parser.add_argument('--samples', type=int, default=8)
  parser.add_argument(
    '--exact', default='coffee', help='photographs for the exact baseline'
  )
  parser.add_argument(
    '--learned', default='coffee,grass', help='photographs for the cascade'
  )
  options = parser.parse_args()
  if options.worker:
    image, prefix, num, denoiser = options.worker
    make_images(image, prefix, int(num), denoiser)
    return
  images = photographs(options.images)
  runs = compare(
    images,
    options.baseline,
    num_samples=options.samples,
    exact=options.exact.split(','),
    learned=options.learned.split(','),
  )
  seams = {
    name: seam_p_values(at_short_side(image, _SHORT_SIDE))
    for name, image in images.items()
  }
  print('seams', json.dumps(seams), flush=True)
  results = {
    'runs': runs,
    'seams': seams,
    'growth': growth(images['coffee']),
  }
  timing.save('generation', 'python -m benchmarks.generation', results)


if __name__ == '__main__':
  main()
