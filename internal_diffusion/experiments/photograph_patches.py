"""p(patch) of a photograph: generated patches beside real ones, by level."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.patches import PatchOptions, sample_vectors
from internal_diffusion.applications.patches.examples import image_examples
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import distances
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.types import Condition

_NUM_STEPS = 2500
_NUM_SAMPLES = 2048
_SHOWN = 24


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on a photograph and draws patches of every pyramid level."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(photograph, max_side=250)
  options = replace(
    PatchOptions(),
    seed=seed,
    num_steps=scaled(_NUM_STEPS, effort),
    sampling={'num_steps': 18},
    pyramid={'scale_factor': 0.5},
  )
  examples = image_examples(image, options)
  model = fit_denoiser(examples, options, progress=progress).model
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  draw_key, sample_key, distance_key = jax.random.split(jax.random.key(seed), 3)
  # Two halves of real patches give the distance of real from real.
  # Examples of an image draw triplets; the interface of all examples does not.
  drawn = examples.draw.triplets(  # type: ignore[attr-defined]
    draw_key, examples.data, 4 * num * examples.layout.num_levels
  )
  real, real_level = np.asarray(drawn.source), np.asarray(drawn.level)
  shape = (-1, options.patch_size, options.patch_size, image.shape[-1])
  generated, halves, ratios = [], [], []
  for level in range(examples.layout.num_levels):
    cond = Condition(level=jnp.full(num, level, jnp.int32))
    level_key = jax.random.fold_in(sample_key, level)
    found = sample_vectors(level_key, model, options, cond)
    of_level = real[real_level == level][: 2 * num]
    first, second = np.array_split(of_level, 2)
    generated.append(np.clip(found.reshape(shape), -1, 1))
    halves.append(first.reshape(shape))
    size = min(len(found), len(first), len(second))
    ours, baseline = (
      float(distances.sliced_wasserstein(distance_key, a[:size], b[:size]))
      for a, b in ((found, first), (second, first))
    )
    ratios.append(ours / baseline)
  return Result(
    measures={
      f'level {level}: sliced Wasserstein, over real against real': Measure(
        ratio, at_most=3.0
      )
      for level, ratio in enumerate(ratios)
    },
    samples={
      **{f'generated_level_{i}': v for i, v in enumerate(generated)},
      **{f'real_level_{i}': v for i, v in enumerate(halves)},
    },
    pictures={
      'patches': (
        functools.partial(_picture, generated, halves),
        'Generated patches beside real ones, one pyramid level a row, the'
        ' finest first.',
      )
    },
  )


@figures.own_style
def _picture(
  generated: list[np.ndarray], real: list[np.ndarray]
) -> figures.Figure:
  figure = figures.new_figure(
    12, 0.9 * len(real) + 0.6, title='Patches of one photograph, level by level'
  )
  axes = figure.subplots(len(real), 2, squeeze=False)
  for column, name, levels in ((0, 'generated', generated), (1, 'real', real)):
    for level, patches in enumerate(levels):
      shown = np.clip(patches[: 2 * _SHOWN], -1, 1)
      grid = image_io.make_grid(shown, num_columns=_SHOWN, zoom=4)
      figures.show_image(axes[level, column], grid, f'level {level}: {name}')
  return figure
