"""Quality of generated patches after three minutes of training.

  python -m benchmarks.patch_quality

Trains p(patch) on all pyramid levels of two photographs of scikit-image at 250
pixels, for three minutes each, the first with several seeds. Compares 8192
generated patches with 8192 real ones of the same levels, as `idiff-evaluate`
does.
"""

import statistics
import tempfile
from typing import Any

import jax
import numpy as np
import skimage.data
from internal_diffusion.training.restore import load_model

from benchmarks import timing
from internal_diffusion.applications import (
  model_sampling,
  patch_evaluation,
  patch_generation,
)
from internal_diffusion.configs import patch
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.patch_report import compare_patches
from internal_diffusion.training import loop

_NUM_PATCHES = 8192
_MINUTES = 3.0
_RUNS = (('coffee', 0), ('coffee', 1), ('coffee', 2), ('chelsea', 0))


def measure(name: str, seed: int) -> dict[str, Any]:
  """Figures of one run: training, sampling, evaluation."""
  config = patch.get_config()
  config.seed, config.num_steps, config.max_minutes = seed, 0, _MINUTES
  photograph = 2 * (getattr(skimage.data, name)() / np.float32(255)) - 1
  image = image_io.bound_side(photograph, max_side=config.max_side)
  with tempfile.TemporaryDirectory() as workdir:
    trained = loop.train(image, config, workdir)
    model = load_model(workdir)
  sample_key, real_key, key = jax.random.split(jax.random.key(seed), 3)
  generated = patch_generation.generate_patches(
    sample_key,
    model,
    model_sampling.make_model_sample_fn(model),
    num=_NUM_PATCHES,
  )
  real = patch_evaluation.real_patches(
    real_key,
    image,
    level=generated.level,
    level_sizes=model.level_sizes,
    patch_size=config.patch_size,
  )
  compared = compare_patches(
    key, generated.patches, real.first, real.second, training=real.training
  )
  for part in ('generated', 'control'):
    compared[part].pop('variance_ratios')
  return {
    'photograph': name,
    'seed': seed,
    'training_seconds': trained.seconds['run'],
    'steps': trained.step,
    'loss': trained.loss,
    **compared,
  }


def spread(values: list[float]) -> dict[str, float]:
  """Mean and standard deviation over seeds."""
  return {'mean': statistics.mean(values), 'std': statistics.stdev(values)}


def main() -> None:
  """Runs all measurements and saves the results."""
  runs = [measure(name, seed) for name, seed in _RUNS]
  coffee = [run for run in runs if run['photograph'] == 'coffee']
  summary = {
    'classifier_accuracy': spread(
      [run['generated']['c2st_accuracy'] for run in coffee]
    ),
    'boosted_trees_accuracy': spread(
      [run['generated']['boosted_trees_accuracy'] for run in coffee]
    ),
    'sliced_wasserstein_over_real': spread(
      [run['ratios']['sliced_wasserstein'] for run in coffee]
    ),
  }
  timing.save(
    'patch_quality',
    'python -m benchmarks.patch_quality',
    {'coffee': summary, 'runs': runs},
  )


if __name__ == '__main__':
  main()
