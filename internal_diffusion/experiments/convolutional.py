"""A convolutional denoiser trained on crops of one photograph makes images.

Without a condition, pyramid or closed form: a U-Net learns the crops of one
small image, and samples images of another size. Beside them stand images of the
closed form, which trains nothing. Coherence is the distance of a patch to the
nearest one of the photograph. A network is trained for each of several
photographs, of scikit-image or given, and the worst of them counts.
"""

import functools
import time
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.data import image_io
from internal_diffusion.denoisers.unet import ConvolutionalDenoiser, UNet
from internal_diffusion.diffusion import schedules
from internal_diffusion.evaluation import compare_images
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.training.options import NoiseOptions, TrainOptions
from internal_diffusion.training.unet import fit_unet

_PHOTOGRAPHS = ('coffee', 'chelsea', 'rocket')
_SIDE = 96  # Of a photograph, in pixels.
_CROP = 32
_SIZE = (64, 96)  # Of the images that are made.
_NUM_STEPS = 7500
_NUM_IMAGES = 3
_NETWORK = UNet(width=16, depth=3)
_NOISE = NoiseOptions(sigma_min=0.01, sigma_max=40.0)


class _Made(NamedTuple):
  """Images made from one photograph.

  Attributes:
    photograph: [H, W, C].
    images: Images of the U-Net and of the closed form, [N, h, w, C].
    judged: Figures of `evaluation.compare_images` of both, means.
    seconds: Seconds of training and of sampling an image.
  """

  photograph: np.ndarray
  images: dict[str, np.ndarray]
  judged: dict[str, dict[str, float]]
  seconds: tuple[float, float]


def run(
  seed: int,
  *,
  effort: float = 1.0,
  progress: bool = False,
  photographs: Mapping[str, np.ndarray] | None = None,
) -> Result:
  """Trains on each photograph, makes images by both denoisers, compares.

  Args:
    seed: Seed of everything random.
    effort: Number of training steps and images, relative to the full
      experiment.
    progress: Whether to show progress bars.
    photographs: Photographs [H, W, C] in [-1, 1] by name; None is three of
      scikit-image. They are scaled down.
  """
  if photographs is None:
    photographs = {
      name: getattr(skimage.data, name)().astype(np.float32) / 127.5 - 1
      for name in _PHOTOGRAPHS
    }
  found = {}
  for name, pixels in photographs.items():
    image = image_io.bound_side(pixels, max_side=_SIDE)
    found[name] = _compare(image, seed, effort, progress)
  return Result(
    measures=_measures(found),
    samples={
      f'{name}: {kind}': images
      for name, made in found.items()
      for kind, images in {'photograph': made.photograph, **made.images}.items()
    },
    pictures={
      f'images_{index}': (
        functools.partial(_picture, made),
        f'Images by a U-Net of {name}, and by the closed form.',
      )
      for index, (name, made) in enumerate(found.items())
    },
  )


def _compare(
  image: np.ndarray, seed: int, effort: float, progress: bool
) -> _Made:
  """Trains on one photograph, makes images, compares."""
  num = scaled(_NUM_IMAGES, effort)
  start = time.perf_counter()
  model = _train(image, seed, effort, progress)
  training = time.perf_counter() - start
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
  sampling = (time.perf_counter() - start) / num
  prior = make_image_prior(image)
  exact = [
    np.asarray(generate(jax.random.key(seed + i), prior, size=_SIZE)[0])
    for i in range(num)
  ]
  made = {'U-Net': np.clip(learned, -1, 1), 'closed form': np.stack(exact)}
  judged = {
    name: compare_images(jax.random.key(seed), list(images), image)['mean']
    for name, images in made.items()
  }
  return _Made(image, made, judged, (training, sampling))


def _train(
  image: np.ndarray, seed: int, effort: float, progress: bool
) -> ConvolutionalDenoiser:
  options = replace(
    TrainOptions(),
    seed=seed,
    batch_size=8,
    num_steps=scaled(_NUM_STEPS, effort, at_least=2),
    steps_per_call=max(1, scaled(_NUM_STEPS, effort) // 40),
    optimizer={'learning_rate': 2e-3},
  )
  return fit_unet(
    image,
    options,
    network=_NETWORK,
    noise=_NOISE,
    crop_size=_CROP,
    progress=progress,
  ).model


def _measures(found: Mapping[str, _Made]) -> dict[str, Measure]:
  """The worst photograph against the goals, then all figures."""

  def ratios(figure: str) -> list[float]:
    both = [made.judged for made in found.values()]
    # The closed form may copy nothing, so the ratio is bounded.
    return [
      j['U-Net'][figure] / max(j['closed form'][figure], 1e-3) for j in both
    ]

  training, sampling = np.max([m.seconds for m in found.values()], axis=0)
  measures = {
    'worst coherence over the closed form': Measure(
      max(ratios('coherence')), at_most=3.5
    ),
    'worst copied fraction over the closed form': Measure(
      max(ratios('copied_fraction')), at_most=1 / 3
    ),
    'seconds of training': Measure(float(training), at_most=600),
    'seconds an image': Measure(float(sampling), at_most=10),
  }
  for name, made in found.items():
    for kind, values in made.judged.items():
      for figure in ('coherence', 'copied_fraction', 'detail_level_0'):
        label = f'{name}, {kind}: {figure}'
        measures[label] = Measure(float(values[figure]))
  return measures


@figures.own_style
def _picture(made: _Made) -> figures.Figure:
  num = len(made.images['U-Net'])
  figure = figures.new_figure(
    3 * (1 + num), 4.6, title='Whole images of one photograph'
  )
  axes = figure.subplots(len(made.images), 1 + num)
  for row, (name, images) in zip(axes, made.images.items(), strict=True):
    figures.show_image(row[0], made.photograph, 'photograph')
    for ax, found in zip(row[1:], images, strict=True):
      figures.show_image(ax, found, name)
  return figure
