"""One source, many targets: samples of p(target | source, delta) and all modes.

All triplets of the image are enumerated. Those with the source and the delta of
the query have the possible targets; equal targets form a mode, and its
probability is its fraction of them.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  PatchOptions,
  sample_vectors,
  target_given_source_options,
)
from internal_diffusion.data import distributions, image_io, synthetic
from internal_diffusion.data.distributions import Layout
from internal_diffusion.experiments.frequencies import (
  draw_bars,
  total_variation,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import all_triplets, scaled, train
from internal_diffusion.options import replace
from internal_diffusion.types import Condition, PatchTriplet

# Largest root mean squared distance of a sample at a mode, in [-1, 1].
_NEAR = 0.08
_NUM_SAMPLES = 20_000


class Modes(NamedTuple):
  """The exact answer to a query.

  Attributes:
    targets: The different targets, [M, D], by decreasing probability.
    probability: Their probabilities, [M].
  """

  targets: np.ndarray
  probability: np.ndarray


def displaced_texture(
  seed: int, *, effort: float = 1.0, progress: bool = False
) -> Result:
  """Many textures beside one grey source.

  Strips of grey and of texture alternate. A grey patch and the displacement to
  the next strip do not determine which part of the texture is there.
  """
  patterns = (
    synthetic.vertical_stripes,
    synthetic.horizontal_stripes,
    synthetic.paired_rows,
  )
  texture = synthetic.bands((48, 40, 28), patterns, width=7)
  image = synthetic.beside_grey(texture, num_repeats=6)
  options = replace(
    _options(seed, num_steps=4500),
    triplet={'level_steps': (0,), 'horizontal': (7, 7)},
  )
  return _study([image], options, effort=effort, progress=progress)


def half_scale_grey(
  seed: int, *, effort: float = 1.0, progress: bool = False
) -> Result:
  """Many fine patches for one grey source: an image that is grey at half size.

  Its blocks of 2x2 pixels have mean 0, so all source patches on the coarse
  level are equal and carry no information: p(target | source, one level finer)
  is the distribution of all fine patches at that position in a coarse pixel.
  """
  patterns = (
    synthetic.vertical_stripes,
    synthetic.horizontal_stripes,
    synthetic.fine_checks,
    synthetic.paired_columns,
    synthetic.paired_rows,
  )
  image = synthetic.bands((32, 24, 16, 16, 8), patterns, width=96)
  levels = [image, synthetic.block_means(image)]
  options = _options(seed, num_steps=2000)
  return _study(levels, options, effort=effort, progress=progress)


def _options(seed: int, *, num_steps: int) -> PatchOptions:
  """Options of p(target | source, delta) without noise on the condition.

  The noise levels are those at which the target is in doubt.
  """
  return replace(
    target_given_source_options(),
    seed=seed,
    num_steps=num_steps,
    condition={'sigma_aug': 0.0, 'dropout': 0.0},
    noise={'sigma_min': 0.05, 'sigma_max': 20.0},
    batch_size=512,
    optimizer={'learning_rate': 5e-3},
    sampling={'num_steps': 18},
  )


def grey_condition(
  layout: Layout, everything: PatchTriplet, *, num: int
) -> Condition:
  """The condition of a grey source, with its first delta."""
  index = int(np.flatnonzero(_is_grey(everything))[0])
  source, delta, level = (
    jnp.repeat(value[index : index + 1], num, axis=0)
    for value in (everything.source, everything.delta, everything.level)
  )
  return distributions.make_condition(
    layout, level=level, source=source, delta=delta
  )


def _is_grey(everything: PatchTriplet) -> np.ndarray:
  return np.asarray(abs(everything.source).max(axis=-1) < 1e-6)


def exact_modes(everything: PatchTriplet) -> Modes:
  """Targets of grey sources at the first delta, with their probabilities."""
  fits = _is_grey(everything)
  delta = np.asarray(everything.delta)
  fits = fits & np.isclose(delta, delta[fits][0], atol=1e-5).all(axis=-1)
  targets, counts = np.unique(
    np.asarray(everything.target)[fits].round(5), axis=0, return_counts=True
  )
  order = np.argsort(-counts)
  return Modes(targets[order], counts[order] / counts.sum())


def mode_frequencies(
  samples: np.ndarray, modes: Modes
) -> tuple[np.ndarray, np.ndarray]:
  """Frequencies of the modes nearest to samples [N, D], and their distances.

  Returns:
    Frequencies [M], and the root mean square distance of each sample [N].
  """
  distance = cdist(samples, modes.targets) / samples.shape[1] ** 0.5
  counts = np.bincount(distance.argmin(axis=1), minlength=len(modes.targets))
  return counts / len(samples), distance.min(axis=1)


def _study(
  levels: Sequence[np.ndarray],
  options: PatchOptions,
  *,
  effort: float,
  progress: bool,
) -> Result:
  """Trains on levels [h, w, 1], finest first, and draws targets of grey."""
  options = replace(options, num_steps=scaled(options.num_steps, effort))
  model, examples = train(levels, options, progress=progress)
  everything = all_triplets(examples, options)
  modes = exact_modes(everything)
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  cond = grey_condition(model.layout, everything, num=num)
  key = jax.random.key(options.seed)
  samples = sample_vectors(key, model, options, cond)
  frequency, distance = mode_frequencies(samples, modes)
  return Result(
    measures={
      'fraction of samples at a true target': Measure(
        float((distance < _NEAR).mean()), at_least=0.97
      ),
      'total variation of mode frequencies': Measure(
        total_variation(frequency, modes.probability), at_most=0.12
      ),
      'fraction of true targets drawn': Measure(
        float((frequency > 0).mean()), at_least=1.0
      ),
    },
    samples={
      'targets': samples,
      'modes': modes.targets,
      'mode_probability': modes.probability,
      'image': levels[0],
    },
    pictures={
      'targets': (
        functools.partial(_picture, samples, modes, frequency, levels[0]),
        'One source patch and many targets: the image, drawn and true targets,'
        ' and how often each true target is drawn.',
      )
    },
  )


@figures.own_style
def _picture(
  samples: np.ndarray, modes: Modes, frequency: np.ndarray, image: np.ndarray
) -> figures.Figure:
  side = round(samples.shape[1] ** 0.5)
  figure = figures.new_figure(12, 7.2)
  grid = figure.add_gridspec(2, 4, width_ratios=(1, 0.5, 1, 1))
  axes = [figure.add_subplot(grid[0, column]) for column in range(4)]
  shown = (
    (image, 'the image'),
    (np.zeros((side, side, 1)), 'the source'),
    (_grid(samples, side), 'drawn targets'),
    (_grid(modes.targets, side), 'true targets, most frequent first'),
  )
  for ax, (pixels, title) in zip(axes, shown, strict=True):
    figures.show_image(ax, pixels, title)
  ax = figure.add_subplot(grid[1, :])
  draw_bars(ax, {'exact': modes.probability, 'drawn': frequency})
  ax.set_title(f'Frequency of each true target among {len(samples)} samples')
  ax.set_xlabel('true target, most frequent first')
  return figure


def _grid(patches: np.ndarray, side: int) -> np.ndarray:
  """The first 36 square patches of [N, side^2] in rows of six, one image."""
  squares = patches[:36].reshape(-1, side, side, 1)
  return image_io.make_grid(np.clip(squares, -1, 1), num_columns=6)
