"""Quality of generated patches after three minutes of training.

  python -m benchmarks.patch_quality
  python -m benchmarks.patch_quality --parts=mixture
  python -m benchmarks.patch_quality --parts=network --photographs=rocket

Trains p(patch) on all pyramid levels of six photographs of scikit-image at 250
pixels, for three minutes each, the first with several seeds; the worst of the
six counts. Compares 8192 generated patches with 8192 real ones of the same
levels, as `idiff-evaluate` does. All networks take about 35 minutes.

The baselines are a mixture of Gaussians and one Gaussian of the same patches.
They have a likelihood too, in bits per dimension (a dimension is a value of a
pixel) of held-out patches of the finest level: patches of every second vertical
band of the photograph are fitted and those of the other bands are held out, so
they share no pixel. Pixels are rounded to 8 bits and get uniform noise of one
grey level, which makes the result a bound on the bits of the rounded pixels
(Theis et al. 2016). The density is that at the noise level of this noise,
1 / sqrt(12) grey levels.

Results of parts that do not run are kept.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from benchmarks import tables, timing
from internal_diffusion.applications.patches import (
  PatchOptions,
  examples,
  patch_options,
  sample_patches,
)
from internal_diffusion.applications.patches.evaluation import (
  RealPatches,
  real_patches,
)
from internal_diffusion.applications.patches.training import train_patches
from internal_diffusion.data import image_io, patches
from internal_diffusion.evaluation.patch_report import compare_patches
from internal_diffusion.options import replace
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture

_NUM_PATCHES = 8192
_MINUTES = 2.8  # Fitting the mixture of Gaussians takes the rest.
_PHOTOGRAPHS = ('coffee', 'chelsea', 'rocket', 'camera', 'motorcycle', 'grass')
_SEEDS_OF_FIRST = (0, 1, 2)
# Photographs and numbers of Gaussians.
_MIXTURES = (('coffee', 1), ('coffee', 60))
_FEWER = (4, 8, 16)  # Numbers of Gaussians for bits per dimension alone.
_GREY_LEVEL = 2 / 255
_NOISE_STD = _GREY_LEVEL / np.sqrt(12)  # Of rounding to 8 bits.
_BAND = 25  # Width of the bands, in pixels.


def load(name: str) -> np.ndarray:
  """Photograph of scikit-image at 250 pixels, [H, W, C] in [-1, 1]."""
  if name == 'motorcycle':  # The left frame of a stereo pair.
    pixels = skimage.data.stereo_motorcycle()[0]
  else:
    pixels = getattr(skimage.data, name)()
  photograph = 2 * (np.atleast_3d(pixels) / np.float32(255)) - 1
  return image_io.bound_side(photograph, max_side=250)


def measure(name: str, seed: int) -> dict[str, Any]:
  """Figures of one run: training, sampling, evaluation."""
  options = replace(
    patch_options(), seed=seed, num_steps=0, max_minutes=_MINUTES
  )
  image = load(name)
  with tempfile.TemporaryDirectory() as workdir:
    fitted = train_patches(image, options, workdir)
  model = fitted.model
  sample_key, real_key, key = jax.random.split(jax.random.key(seed), 3)
  generated = sample_patches(sample_key, model, num=_NUM_PATCHES)
  real = real_patches(
    real_key,
    image,
    level=generated.level,
    level_sizes=model.level_sizes,
    patch_size=options.patch_size,
  )
  return {
    'photograph': name,
    'seed': seed,
    'training_seconds': fitted.seconds['run'],
    'steps': fitted.step,
    'loss': fitted.loss,
    **compare(key, generated.patches, real),
  }


def compare(
  key: jax.Array, generated: np.ndarray, real: RealPatches
) -> dict[str, Any]:
  """Figures of generated and of real patches [N, P, P, C]."""
  compared = compare_patches(
    key, generated, real.first, real.second, training=real.training
  )
  for part in ('generated', 'control'):
    compared[part].pop('variance_ratios')
  return compared


def measure_mixture(name: str, num_components: int) -> dict[str, Any]:
  """Figures of a mixture of Gaussians of the patches of all levels."""
  options, image = PatchOptions(), load(name)
  size = options.patch_size
  level_sizes = examples.level_sizes(*image.shape[:2], options)
  fit_key, sample_key, real_key, key = jax.random.split(jax.random.key(0), 4)
  # All patches of all levels are equally likely, as in the network's training.
  num = [
    (height - size + 1) * (width - size + 1) for height, width in level_sizes
  ]
  level = np.random.default_rng(0).choice(
    len(num), _NUM_PATCHES, p=np.array(num) / sum(num)
  )
  real = real_patches(
    real_key, image, level=level, level_sizes=level_sizes, patch_size=size
  )
  vectors = real.training.reshape(len(real.training), -1)
  start = time.perf_counter()
  mixture = fit_gaussian_mixture(
    fit_key,
    jnp.asarray(vectors),
    noise_std=_NOISE_STD,
    num_components=num_components,
    max_dimensions=vectors.shape[1],
  )
  jax.block_until_ready(mixture)
  seconds = time.perf_counter() - start
  drawn = np.asarray(mixture.sample(sample_key, _NUM_PATCHES)).clip(-1, 1)
  return {
    'photograph': name,
    'num_components': num_components,
    'fitting_seconds': seconds,
    **bits_per_dimension(image, num_components),
    **compare(key, drawn.reshape(real.first.shape), real),
  }


def bits_per_dimension(
  image: np.ndarray, num_components: int
) -> dict[str, float]:
  """Bits per value of fitted and of held-out patches of the finest level."""
  size, random = PatchOptions().patch_size, np.random.default_rng(0)
  rounded = np.round((image + 1) / _GREY_LEVEL) * _GREY_LEVEL - 1
  noise = _GREY_LEVEL * random.uniform(-0.5, 0.5, image.shape)
  dense = np.asarray(
    patches.extract_patches(
      jnp.asarray(rounded + noise, jnp.float32), patch_size=size
    )
  )
  left = np.arange(dense.shape[1])
  band = left // _BAND
  is_inside = (left + size - 1) // _BAND == band

  def bits(vectors: np.ndarray) -> float:
    nats = mixture.log_density(jnp.asarray(vectors), jnp.float32(_NOISE_STD))
    per_value = -float(jnp.mean(nats)) / vectors.shape[-1]
    return float((per_value - np.log(_GREY_LEVEL)) / np.log(2))

  fitted, held_out = (
    dense[:, is_inside & (band % 2 == part)].reshape(-1, dense.shape[-1])
    for part in (0, 1)
  )
  mixture = fit_gaussian_mixture(
    jax.random.key(0),
    jnp.asarray(fitted),
    noise_std=_NOISE_STD,
    num_components=num_components,
    max_dimensions=fitted.shape[1],
  )
  return {
    'bits_per_dimension': bits(held_out),
    'bits_per_dimension_of_fitted': bits(fitted),
  }


def spread(values: list[float]) -> dict[str, float]:
  """Mean and standard deviation over seeds."""
  return {'mean': statistics.mean(values), 'std': statistics.stdev(values)}


def network_results(
  photographs: Sequence[str], known: Sequence[dict[str, Any]]
) -> dict[str, Any]:
  """Figures of all trainings, of the first photograph's seeds, and the worst.

  Args:
    photographs: Photographs to train on; the results of others are kept.
    known: Earlier runs.
  """
  runs = [run for run in known if run['photograph'] not in photographs]
  for name in photographs:
    seeds = _SEEDS_OF_FIRST if name == _PHOTOGRAPHS[0] else (0,)
    runs += [measure(name, seed) for seed in seeds]
  runs.sort(key=lambda run: _PHOTOGRAPHS.index(run['photograph']))
  measured: dict[str, Callable[[dict[str, Any]], float]] = {
    'classifier_accuracy': lambda run: run['generated']['c2st_accuracy'],
    'boosted_trees_accuracy': lambda run: run['generated'][
      'boosted_trees_accuracy'
    ],
    'sliced_wasserstein_over_real': lambda run: run['ratios'][
      'sliced_wasserstein'
    ],
  }
  coffee = [run for run in runs if run['photograph'] == _PHOTOGRAPHS[0]]
  found: dict[str, Any] = {'runs': runs}
  if len(coffee) > 1:
    found['coffee'] = {
      name: spread([value_of(run) for run in coffee])
      for name, value_of in measured.items()
    }
  of_seed_0 = [run for run in runs if run['seed'] == 0]
  found['worst'] = {}
  for name, value_of in measured.items():
    worst = max(of_seed_0, key=value_of)
    found['worst'][name] = {
      'value': value_of(worst),
      'photograph': worst['photograph'],
    }
  return found


def main() -> None:
  """Runs the measurements of the parts and saves the results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--parts', default='network,mixture')
  parser.add_argument(
    '--photographs', choices=_PHOTOGRAPHS, nargs='+', default=_PHOTOGRAPHS
  )
  arguments = parser.parse_args()
  parts = arguments.parts.split(',')
  command = 'python -m benchmarks.patch_quality'
  results: dict[str, Any] = {}
  if (timing.RESULTS / 'patch_quality.json').exists():
    results = tables.read('patch_quality')
    for name in ('command', 'machine'):
      results.pop(name)
  if 'network' in parts:
    known = results.get('runs', [])
    results |= network_results(arguments.photographs, known)
  if 'mixture' in parts:
    results['mixtures'] = [measure_mixture(*run) for run in _MIXTURES]
    results['bits_by_components'] = {
      str(num): bits_per_dimension(load('coffee'), num) for num in _FEWER
    }
  timing.save('patch_quality', command, results)


if __name__ == '__main__':
  main()
