"""A convolutional denoiser trained on crops of one photograph makes images.

Without a condition, pyramid or closed form: a U-Net learns the crops of one
small image, and samples images of another size. Beside them stand images of the
closed form, which trains nothing. Coherence is the distance of a patch to the
nearest one of the photograph.
"""

import functools
import time

import jax
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.data import image_io
from internal_diffusion.denoisers.unet import UNet
from internal_diffusion.diffusion import schedules
from internal_diffusion.evaluation import compare_images
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.training.options import NoiseOptions, TrainOptions
from internal_diffusion.training.unet import fit_unet

_SIDE = 96  # Of the photograph, in pixels.
_CROP = 32
_SIZE = (64, 96)  # Of the images that are made.
_NUM_STEPS = 800
_NUM_IMAGES = 3
_NETWORK = UNet(width=16, depth=3)
_NOISE = NoiseOptions(sigma_min=0.01, sigma_max=40.0)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains, makes images by both denoisers, compares."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(photograph, max_side=_SIDE)
  num = scaled(_NUM_IMAGES, effort)
  options = replace(
    TrainOptions(),
    seed=seed,
    batch_size=8,
    num_steps=scaled(_NUM_STEPS, effort, at_least=2),
    steps_per_call=max(1, scaled(_NUM_STEPS, effort) // 40),
    optimizer={'learning_rate': 2e-3},
  )
  model = fit_unet(
    image,
    options,
    network=_NETWORK,
    noise=_NOISE,
    crop_size=_CROP,
    progress=progress,
  ).model
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(
      24, sigma_min=_NOISE.sigma_min, sigma_max=_NOISE.sigma_max
    ),
    sample_shape=(*_SIZE, image.shape[-1]),
    chunk_size=1,
    s_churn=10.0,
  )
  start = time.perf_counter()
  learned = sample_fn(model, jax.random.key(seed), num_samples=num)
  seconds = (time.perf_counter() - start) / num
  prior = make_image_prior(image)
  exact = np.stack(
    [
      np.asarray(generate(jax.random.key(seed + i), prior, size=_SIZE)[0])
      for i in range(num)
    ]
  )
  made = {'U-Net': np.clip(learned, -1, 1), 'closed form': exact}
  judged = {
    name: compare_images(jax.random.key(seed), list(images), image)['mean']
    for name, images in made.items()
  }
  ratio = judged['U-Net']['coherence'] / judged['closed form']['coherence']
  measures = {
    'U-Net: coherence over the closed form': Measure(ratio, at_most=3.5),
    'U-Net: seconds an image': Measure(seconds, at_most=10),
  }
  for name, values in judged.items():
    for figure in ('coherence', 'copied_fraction', 'detail_level_0'):
      measures[f'{name}: {figure}'] = Measure(float(values[figure]))
  return Result(
    measures=measures,
    samples={'image': image, **made},
    pictures={
      'images': (
        functools.partial(_picture, image, made),
        'Images by a U-Net of one photograph, and by the closed form.',
      )
    },
  )


@figures.own_style
def _picture(image: np.ndarray, made: dict[str, np.ndarray]) -> figures.Figure:
  num = len(made['U-Net'])
  figure = figures.new_figure(
    3 * (1 + num), 4.6, title='Whole images of one photograph'
  )
  axes = figure.subplots(len(made), 1 + num)
  for row, (name, images) in zip(axes, made.items(), strict=True):
    figures.show_image(row[0], image, 'photograph')
    for ax, found in zip(row[1:], images, strict=True):
      figures.show_image(ax, found, name)
  return figure
