"""Noise on the condition of a cascade, and how much of it at sampling.

A cascade makes a pyramid level given the next coarser one, which was itself
made and has errors. Ho et al. (2022) train it with noise on the coarser level,
of a level drawn at random that the network receives, and choose the level at
sampling: noise hides the errors, and structure too. Here the cascade of a small
photograph is trained once so, and makes images at several noise levels. The
first is almost none, as if nothing had been added. Coherence is the distance of
a patch to the nearest one of the photograph; detail is the variance of the
finest band over the photograph's.
"""

import functools

import jax
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.images import generate, make_cascade_prior
from internal_diffusion.applications.patches import (
  cascade_options,
  learn_patches,
)
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import compare_images
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace

_SIDE = 128  # Of the photograph, in pixels.
_NOISE_LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)
_NUM_STEPS = 4000
_NUM_IMAGES = 2  # At each noise level.


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains a cascade once, and makes images at each noise level."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(photograph, max_side=_SIDE)
  options = replace(
    cascade_options(),
    seed=seed,
    condition={'sigma_aug': _NOISE_LEVELS[0], 'sigma_aug_max': 1.0},
    num_steps=scaled(_NUM_STEPS, effort, at_least=4),
    max_minutes=0.0,
  )
  model = learn_patches(image, options, progress=progress)
  num = scaled(_NUM_IMAGES, effort)
  made, judged = {}, {}
  for level in _NOISE_LEVELS:
    prior = make_cascade_prior(model, image, sigma_aug=level)
    # The same keys, and so the same coarsest level, at every noise level.
    images = [
      generate(jax.random.key(seed + i), prior)[0].astype(np.float32)
      for i in range(num)
    ]
    made[level] = np.stack(images)
    compared = compare_images(jax.random.key(seed), images, image)
    judged[level] = compared['mean']
  coherence = {level: judged[level]['coherence'] for level in judged}
  best = min(coherence, key=coherence.__getitem__)
  return Result(
    measures={
      **{
        f'{name}, noise {level:g}': Measure(of_level[field])
        for name, field in (
          ('coherence', 'coherence'),
          ('detail', 'detail_level_0'),
          ('copied fraction', 'copied_fraction'),
        )
        for level, of_level in judged.items()
      },
      'noise of the best coherence': Measure(best),
      'its coherence over that almost without noise': Measure(
        coherence[best] / coherence[_NOISE_LEVELS[0]], at_most=1.0
      ),
    },
    samples={f'made: noise {level:g}': made[level] for level in made},
    pictures={
      'sweep': (
        functools.partial(_picture, image, made),
        'Images of a cascade, with growing noise on the coarser level.',
      )
    },
  )


@figures.own_style
def _picture(
  image: np.ndarray, made: dict[float, np.ndarray]
) -> figures.Figure:
  num = len(next(iter(made.values())))
  figure = figures.new_figure(
    2.4 * (1 + len(made)), 2.1 * num, title='Noise on the condition'
  )
  axes = figure.subplots(num, 1 + len(made), squeeze=False)
  for index, row in enumerate(axes):
    figures.show_image(row[0], image, 'photograph')
    for ax, (level, images) in zip(row[1:], made.items(), strict=True):
      figures.show_image(ax, images[index], f'noise {level:g}')
  return figure
