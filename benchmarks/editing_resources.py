"""Time and memory of fills, each size in a process of its own.

  python -m benchmarks.editing_resources SIZE

prints those of one size: 256 and 512 are squares of which a tenth is missing,
4000x3000 has a hole of 40 pixels. `editing_fill` runs all of them.
"""

import json
import pathlib
import subprocess
import sys
import time

import jax
import numpy as np
import skimage.data

from benchmarks.generation import at_short_side
from internal_diffusion.applications.editing import fill

_SIZES = ('256', '512', '4000x3000')


def measure_all() -> dict[str, dict[str, float]]:
  """Seconds and memory of each size."""
  return {size: _measured(size) for size in _SIZES}


def _measured(size: str) -> dict[str, float]:
  """Seconds and memory of a fill in a process of its own."""
  command = [sys.executable, '-m', 'benchmarks.editing_resources', size]
  start = time.perf_counter()
  done = subprocess.run(command, capture_output=True, text=True, check=True)
  found = json.loads(done.stdout.splitlines()[-1])
  return {'process_seconds': time.perf_counter() - start, **found}


def fill_once(size: str) -> dict[str, float]:
  """Seconds of a first and of a later answer, and peak memory in GiB.

  A square with a tenth of the pixels missing in a square picture; or a hole of
  40 pixels in a picture of 4000x3000.
  """
  sides = [int(side) for side in size.split('x')]
  photograph = 2 * skimage.data.astronaut().astype(np.float32) / 255 - 1
  if len(sides) == 2:
    tiled = np.tile(photograph, (8, 8, 1))
    image = tiled[: sides[1], : sides[0]]
    hole = (slice(1000, 1040), slice(2000, 2040))
  else:
    image = at_short_side(photograph, sides[0])
    side = round(sides[0] / 10**0.5)
    hole = (slice(sides[0] // 3, sides[0] // 3 + side),) * 2
  mask = np.zeros(image.shape[:2], bool)
  mask[hole] = True
  found = {}
  for name, seed in (('first', 0), ('later', 1)):
    start, used = time.perf_counter(), time.process_time()
    fill(jax.random.key(seed), image, mask, num_samples=1)
    found[name] = time.perf_counter() - start
    found[f'{name}_cpu'] = time.process_time() - used
  # Unlike getrusage's, this figure does not begin with the parent's memory.
  status = pathlib.Path('/proc/self/status').read_text()
  used = int(status.split('VmHWM:')[1].split()[0])
  return {**found, 'peak_gib': used / 2**20}


if __name__ == '__main__':
  print(json.dumps(fill_once(sys.argv[1])))
