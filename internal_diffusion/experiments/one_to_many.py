"""One source, many targets: samples of p(target | source, delta) and all modes.

Every triplet of the image is enumerated. Those with the source and the delta in
question have the targets that may be drawn; equal ones make a mode, and its
share of them is its probability.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.model_sampling import make_model_sample_fn
from internal_diffusion.configs import target_given_source
from internal_diffusion.data import distributions, triplets
from internal_diffusion.experiments.result import (
  Measure,
  Result,
  total_variation,
)
from internal_diffusion.training.examples import displacement_range, from_levels
from internal_diffusion.training.fit import fit
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import Condition, PatchTriplet

# A sample is at a mode if it is that near, root mean square, in [-1, 1].
_NEAR = 0.08
_NUM_SAMPLES = 20_000


class Modes(NamedTuple):
  """The exact answer to a query.

  Attributes:
    targets: The different targets, [M, D], by decreasing probability.
    probability: [M].
  """

  targets: np.ndarray
  probability: np.ndarray


def get_config() -> Any:
  """Of p(target | source, delta) without noise on the condition.

  Noise levels are those at which it is in doubt which target it is.
  """
  config = target_given_source.get_config()
  config.condition.sigma_aug = config.condition.dropout = 0.0
  config.noise.sigma_min, config.noise.sigma_max = 0.05, 20.0
  config.batch_size = 512
  config.optimizer.learning_rate = 5e-3
  config.sampling.num_steps = 18
  return config


def grey_condition(
  model: LearnedModel, everything: PatchTriplet, *, num: int
) -> Condition:
  """The condition of a grey source with the first delta that it has."""
  index = int(np.flatnonzero(_is_grey(everything))[0])
  source, delta, level = (
    jnp.repeat(value[index : index + 1], num, axis=0)
    for value in (everything.source, everything.delta, everything.level)
  )
  return distributions.make_condition(
    model.layout, level=level, source=source, delta=delta
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
  """How often samples [N, D] are nearest to each mode, and how near they are.

  Returns:
    Frequencies [M], and the root mean square distance of each sample [N].
  """
  # In parts, as N M D numbers may be many.
  parts = [
    ((part[:, None] - modes.targets[None]) ** 2).mean(axis=-1)
    for part in np.array_split(samples, -(-len(samples) // 256))
  ]
  distance = np.sqrt(np.concatenate(parts))
  counts = np.bincount(distance.argmin(axis=1), minlength=len(modes.targets))
  return counts / len(samples), distance.min(axis=1)


def study(
  levels: Sequence[np.ndarray],
  config: Any,
  *,
  seed: int,
  num_steps: int,
  effort: float,
  progress: bool,
) -> Result:
  """Trains, draws 20,000 targets of a grey source and compares with all true.

  Args:
    levels: Images [h, w, 1] to learn from, finest first.
    config: From `get_config`, with the triplets that are wanted.
    seed: Of everything random.
    num_steps: Of training, at effort 1.
    effort: Share of the full number of steps and samples, for a quick look.
    progress: Whether to show a progress bar.
  """
  config.seed = seed
  config.num_steps = max(1, round(effort * num_steps))
  examples = from_levels(levels, config)
  model = fit(examples, config, progress=progress)
  everything = triplets.enumerate_triplets(
    examples.data.pyramid,
    examples.data.table,
    patch_size=model.config.patch_size,
    displacement_range=displacement_range(model.config),
  )
  modes = exact_modes(everything)
  cond = grey_condition(
    model, everything, num=max(256, round(effort * _NUM_SAMPLES))
  )
  sample_fn = make_model_sample_fn(model)
  samples = sample_fn(model.params, jax.random.key(seed), cond)
  frequency, distance = mode_frequencies(samples, modes)
  return Result(
    measures={
      'share of samples at a true target': Measure(
        float((distance < _NEAR).mean()), at_least=0.97
      ),
      'total variation of mode frequencies': Measure(
        total_variation(frequency, modes.probability), at_most=0.12
      ),
      'share of true targets drawn': Measure(
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
        _picture(samples, modes, frequency, levels[0]),
        'One source patch and many targets: what was learned from, what is'
        ' drawn, and how often each true target is.',
      )
    },
  )


@figures.own_style
def _picture(
  samples: np.ndarray,
  modes: Modes,
  frequency: np.ndarray,
  image: np.ndarray,
) -> figures.Figure:
  side = round(samples.shape[1] ** 0.5)
  figure = figures.new_figure(12, 7.2)
  grid = figure.add_gridspec(2, 4, width_ratios=(1, 0.5, 1, 1))
  axes = [figure.add_subplot(grid[0, column]) for column in range(4)]
  shown = (
    (image[..., 0], 'the image'),
    (np.zeros((side, side)), 'the source'),
    (_grid(samples[:36], side), 'drawn targets'),
    (_grid(modes.targets[:36], side), 'true targets, most frequent first'),
  )
  for ax, (pixels, title) in zip(axes, shown, strict=True):
    ax.imshow(pixels, cmap='gray', vmin=-1, vmax=1, interpolation='nearest')
    ax.set_title(title)
    ax.set_axis_off()
  ax = figure.add_subplot(grid[1, :])
  index = 1 + np.arange(len(modes.probability))
  ax.locator_params(axis='x', integer=True)
  ax.bar(index - 0.2, modes.probability, 0.4, color='0.6', label='exact')
  ax.bar(index + 0.2, frequency, 0.4, color='C0', label='drawn')
  ax.set(
    title=f'How often each true target is drawn ({len(samples)} samples)',
    xlabel='true target, most frequent first',
    ylabel='probability',
  )
  ax.legend()
  return figure


def _grid(patches: np.ndarray, side: int) -> np.ndarray:
  """Square patches [N, side^2] in rows of six with a gap, one image."""
  rows = -(-len(patches) // 6)
  padded = np.ones((rows * 6, side + 1, side + 1))
  padded[: len(patches), :side, :side] = patches.reshape(-1, side, side)
  grid = padded.reshape(rows, 6, side + 1, side + 1).swapaxes(1, 2)
  return grid.reshape(rows * (side + 1), -1)[:-1, :-1]
