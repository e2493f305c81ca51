"""Consistency models of a photograph's patches: one or two evaluations.

A denoiser is trained, and two consistency models begin as it: one distils it,
the other trains on the patches alone. The distance of their patches to real
ones is compared with that of the denoiser's 18 Heun steps, 35 evaluations.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.data import image_io, patches
from internal_diffusion.diffusion import schedules
from internal_diffusion.evaluation import distances
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import (
  make_sample_fn,
  sample_consistency,
  sample_heun,
)
from internal_diffusion.training.consistency import fit_consistency
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.types import Denoiser

_PATCH_SIZE = 7
_SIDE = 200
_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0
_NUM_STEPS, _NUM_CONSISTENCY_STEPS = 2000, 2500
_NUM_SAMPLES = 4096
# Noise levels of one and two evaluations; the middle one is of the order of the
# patches' standard deviation.
_PATHS = {'one step': (20.0, 0.0), 'two steps': (20.0, 0.5, 0.0)}
_AT_MOST = {'one step': 1.6, 'two steps': 1.2}
_SHOWN = 75


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains the three models and compares their patches."""
  real = grey_patches()
  options = replace(
    points.point_options(
      seed, sigma_aug=0.0, num_steps=scaled(_NUM_STEPS, effort, at_least=4)
    ),
    network={'width': 192},
    batch_size=512,
    num_references=512,
    noise={'sigma_min': _SIGMA_MIN, 'sigma_max': _SIGMA_MAX},
  )
  examples = point_examples(real)
  teacher = fit_denoiser(examples, options, progress=progress).model
  later = replace(
    options,
    num_steps=scaled(_NUM_CONSISTENCY_STEPS, effort, at_least=4),
    optimizer={'learning_rate': 1e-3},
  )
  models = {
    'distilled': fit_consistency(
      examples, later, teacher=teacher, progress=progress
    ).model,
    'trained without a teacher': fit_consistency(
      examples, later, start=teacher, progress=progress
    ).model,
  }
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  drawn = {'18 Heun steps': _draw(seed, teacher, num, None)}
  for name, model in models.items():
    for steps, path in _PATHS.items():
      drawn[f'{name}, {steps}'] = _draw(seed, model, num, path)
  key = jax.random.key(seed)
  chosen = np.random.default_rng(seed).permutation(len(real))[: 2 * num]
  first, second = real[chosen[:num]], real[chosen[num:]]
  size = min(num, len(second))

  def distance(found: np.ndarray) -> float:
    return float(distances.sliced_wasserstein(key, found[:size], first[:size]))

  apart = {name: distance(found) for name, found in drawn.items()}
  baseline = apart['18 Heun steps']
  measures = {
    'real patches: sliced Wasserstein distance': Measure(distance(second)),
    '18 Heun steps: sliced Wasserstein distance': Measure(baseline),
  }
  for name, value in apart.items():
    if name != '18 Heun steps':
      measures[f'{name}: distance over that of 18 Heun steps'] = Measure(
        value / baseline, at_most=_AT_MOST[name.split(', ')[1]]
      )
  return Result(
    measures=measures,
    samples={f'drawn: {name}': found for name, found in drawn.items()},
    pictures={
      'patches': (
        functools.partial(_picture, {'real': first, **drawn}),
        'Patches by 35 evaluations, by one and by two, beside real ones.',
      )
    },
  )


def grey_patches() -> np.ndarray:
  """Patches of coffee in grey, [N, D]."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(
    photograph.mean(axis=-1, keepdims=True), max_side=_SIDE
  )
  dense = patches.extract_patches(jnp.asarray(image), patch_size=_PATCH_SIZE)
  return np.asarray(dense).reshape(-1, dense.shape[-1])


def _draw(
  seed: int, model: Denoiser, num: int, path: tuple[float, ...] | None
) -> np.ndarray:
  sigmas = schedules.karras_sigmas(
    18, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )
  sample_fn = make_sample_fn(
    sigmas if path is None else np.array(path),
    sample_shape=(_PATCH_SIZE**2,),
    sampler=sample_heun if path is None else sample_consistency,
  )
  return sample_fn(model, jax.random.key(seed), num_samples=num)


def _picture(shown: dict[str, np.ndarray]) -> figures.Figure:
  return figures.named_patches(
    shown,
    title='Consistency models of patches',
    num=_SHOWN,
    num_columns=_SHOWN // 3,
    zoom=3,
  )
