"""The same work on a CPU and on an accelerator, as JAX finds them.

  JAX_PLATFORMS=cpu taskset -c 0,1 python -m benchmarks.devices
  python -m benchmarks.devices

Each run measures the device that JAX uses and keeps the results of others. A
call is timed twice: the first compiles, the second does not. Pictures are
coffee of scikit-image. Training steps are those of `idiff-train` (width 512,
batch 768) and of a large batch, in float32 and bfloat16.
"""

import json
import time
from collections.abc import Callable

import jax
import numpy as np
import skimage.data

from benchmarks import throughput, timing
from internal_diffusion.applications import restoration, super_resolution
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.applications.patches import PatchOptions
from internal_diffusion.applications.patches.examples import image_examples
from internal_diffusion.data import image_io
from internal_diffusion.options import replace

_NAME = 'devices'
_UPSCALING_STEPS = 2000
_NOISE_STD = 25.0  # In grey levels of 255.


def coffee(side: int) -> np.ndarray:
  """Coffee at a longer side, [H, W, 3] in [-1, 1]."""
  image = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  return image_io.bound_side(image, max_side=side)


def in_turn(call: Callable[[int], object]) -> dict[str, float]:
  """Seconds of a first and a second call, with different seeds."""
  seconds = []
  for seed in range(2):
    start = time.perf_counter()
    jax.block_until_ready(call(seed))
    seconds.append(time.perf_counter() - start)
  return {'first': seconds[0], 'second': seconds[1]}


def training(batch_size: int, compute_dtype: str) -> dict[str, float]:
  """Patches per second of training p(patch)."""
  options = replace(
    PatchOptions(),
    batch_size=batch_size,
    num_references=batch_size,
    network={'compute_dtype': compute_dtype},
  )
  found = throughput.measure_training(
    image_examples(coffee(250), options), options
  )
  names = ('patches_per_second', 'step_ms', 'compile_seconds')
  return {name: found[name] for name in names}


def generation(side: int) -> dict[str, float]:
  """Seconds of a new image."""
  prior = make_image_prior(coffee(side))
  return in_turn(lambda seed: generate(jax.random.key(seed), prior))


def denoising(side: int) -> dict[str, float]:
  """Seconds of denoising a picture."""
  image = coffee(side)

  def call(seed: int) -> object:
    eps = np.random.default_rng(seed).standard_normal(image.shape)
    noisy = (image + 2 * _NOISE_STD / 255 * eps).astype(np.float32)
    key = jax.random.key(seed)
    return restoration.denoise(key, noisy, sigma=_NOISE_STD).mean

  return in_turn(call)


def upscaling() -> dict[str, float]:
  """Seconds of a number of steps of each network, and of a sample of x2."""
  image = coffee(200)

  def call(seed: int) -> object:
    options = super_resolution.UpscaleOptions(
      num_steps=_UPSCALING_STEPS, num_rounds=1, seed=seed
    )
    model = super_resolution.learn_upscaler(image, options)
    key = jax.random.key(seed)
    made = super_resolution.upscale(key, model, image, factor=2, num_samples=1)
    return made.samples

  return in_turn(call)


def main() -> None:
  """Runs all measurements on this device and saves them beside others."""
  path = timing.RESULTS / f'{_NAME}.json'
  known = json.loads(path.read_text())['devices'] if path.exists() else {}
  tasks: dict[str, Callable[[], dict[str, float]]] = {
    'training, batch 768, float32': lambda: training(768, 'float32'),
    'training, batch 2048, float32': lambda: training(2048, 'float32'),
    'training, batch 2048, bfloat16': lambda: training(2048, 'bfloat16'),
    'generate, 256 px': lambda: generation(256),
    'generate, 600 px': lambda: generation(600),
    'denoise, 256 px': lambda: denoising(256),
    'denoise, 600 px': lambda: denoising(600),
    'upscale, 200 px by 2': upscaling,
  }
  machine = timing.machine()
  name = str(machine['kind'])
  known[name] = {'machine': machine}
  for task, run in tasks.items():
    known[name][task] = run()
    timing.save(_NAME, 'python -m benchmarks.devices', {'devices': known})


if __name__ == '__main__':
  main()
