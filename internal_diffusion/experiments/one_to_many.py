"""One source, many targets: samples of p(target | source, delta) and all modes.

All triplets of the image are enumerated. Those with the source and the delta of
the query have the possible targets; equal targets form a mode, and its
probability is its fraction of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  PatchOptions,
  sample_vectors,
  target_given_source_options,
)
from internal_diffusion.applications.patches.examples import level_examples
from internal_diffusion.applications.patches.training import fit_denoiser
from internal_diffusion.data import distributions, triplets
from internal_diffusion.data.distributions import Layout
from internal_diffusion.experiments.result import (
  Measure,
  Result,
  total_variation,
)
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


def study_options() -> PatchOptions:
  """Options of p(target | source, delta) without noise on the condition.

  The noise levels are those at which the target is in doubt.
  """
  return replace(
    target_given_source_options(),
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
  options: PatchOptions,
  *,
  seed: int,
  num_steps: int,
  effort: float,
  progress: bool,
) -> Result:
  """Trains, draws 20,000 targets of a grey source, compares with the true ones.

  Args:
    levels: Images [h, w, 1] to learn from, finest first.
    options: Those of `study_options`, with other triplets.
    seed: Seed of everything random.
    num_steps: Number of training steps at effort 1.
    effort: Fraction of the full number of steps and samples, for a quick look.
    progress: Whether to show a progress bar.
  """
  options = replace(
    options, seed=seed, num_steps=max(1, round(effort * num_steps))
  )
  examples = level_examples(levels, options)
  model = fit_denoiser(examples, options, progress=progress).model
  everything = triplets.enumerate_triplets(
    examples.data.pyramid,
    examples.data.table,
    patch_size=options.patch_size,
    displacement_range=options.triplet.displacement_range,
  )
  modes = exact_modes(everything)
  cond = grey_condition(
    model.layout, everything, num=max(256, round(effort * _NUM_SAMPLES))
  )
  samples = sample_vectors(jax.random.key(seed), model, options, cond)
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
        _picture(samples, modes, frequency, levels[0]),
        'One source patch and many targets: the image, drawn and true targets,'
        ' and how often each true target is drawn.',
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
