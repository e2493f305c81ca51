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

from benchmarks import timing
from internal_diffusion.applications.patches import PatchOptions, sample_patches
from internal_diffusion.applications.patches.evaluation import real_patches
from internal_diffusion.applications.patches.training import train_patches
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.patch_report import compare_patches
from internal_diffusion.options import replace

_NUM_PATCHES = 8192
_MINUTES = 3.0
_RUNS = (('coffee', 0), ('coffee', 1), ('coffee', 2), ('chelsea', 0))


def measure(name: str, seed: int) -> dict[str, Any]:
  """Figures of one run: training, sampling, evaluation."""
  options = replace(
    PatchOptions(), seed=seed, num_steps=0, max_minutes=_MINUTES
  )
  photograph = 2 * (getattr(skimage.data, name)() / np.float32(255)) - 1
  image = image_io.bound_side(photograph, max_side=250)
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
  compared = compare_patches(
    key, generated.patches, real.first, real.second, training=real.training
  )
  for part in ('generated', 'control'):
    compared[part].pop('variance_ratios')
  return {
    'photograph': name,
    'seed': seed,
    'training_seconds': fitted.seconds['run'],
    'steps': fitted.step,
    'loss': fitted.loss,
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
