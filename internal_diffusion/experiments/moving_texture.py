"""A texture that moves steadily: displacement in space and time.

The frames of a clip show one texture, moved by v pixels from each to the next.
In a triplet of the clip, delta = (dt, dy, dx, relative scale) has the frames
between source and target too. Two questions have exact answers:

- Where, and when, is the same patch? p(delta | source, target) for two equal
  patches has its mode at v dt for every dt, and how often each dt comes is
  counted over all triplets of the clip.
- What is at delta = (dt, v dt)? p(target | source, delta) draws the source
  itself, which has moved there.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  PatchOptions,
  delta_given_pair_options,
  sample_vectors,
  target_given_source_options,
)
from internal_diffusion.data import distributions, patches, synthetic, triplets
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.experiments.frequencies import total_variation
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import all_triplets, scaled, train
from internal_diffusion.options import replace
from internal_diffusion.types import PatchTriplet

_NUM_STEPS_DELTA, _NUM_STEPS_TARGET = 4000, 2500
_NUM_SAMPLES = 400  # Of each question.
_VELOCITY = (1, -1)  # Rows and columns per frame.
_NUM_FRAMES, _SIDE = 5, 24
_TIMES, _ROWS, _COLUMNS = (-2, 2), (-2, 2), (-2, 2)
_RANGE = (_TIMES, _ROWS, _COLUMNS)
# Every such patch of the middle frame, along both axes, is asked about.
_STRIDE = 5


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains both conditional models on the clip, and asks them."""
  texture = 0.9 * synthetic.smooth_texture(seed, (_SIDE, _SIDE), scale=1.8)
  clip = moving_clip(texture)
  num = scaled(_NUM_SAMPLES, effort, at_least=20)
  trained = []
  for preset, num_steps in (
    (delta_given_pair_options(), _NUM_STEPS_DELTA),
    (target_given_source_options(), _NUM_STEPS_TARGET),
  ):
    options = _adapted(preset, seed, scaled(num_steps, effort))
    model, examples = train([clip], options, progress=progress)
    trained.append((model, options))
  everything = all_triplets(examples, options)
  middle = patches.extract_patches(
    clip[_NUM_FRAMES // 2], patch_size=options.patch_size, stride=_STRIDE
  )
  sources = np.asarray(middle).reshape(-1, middle.shape[-1])
  key = jax.random.key(seed)
  found = _sample_displacements(key, *trained[0], sources, num=num)
  exact = np.stack([_exact(everything, source) for source in sources])
  drawn = _sample_targets(jax.random.fold_in(key, 1), *trained[1], sources)
  return Result(
    measures=_measures(found, exact, drawn, sources),
    samples={
      'clip': clip,
      'sources': sources,
      'displacements': found,
      'exact': exact,
      'targets': drawn,
    },
    pictures={
      'displacements': (
        functools.partial(_picture, clip, found, exact, drawn, sources),
        'A texture that moves steadily: its frames, p(dt, dx | source, target)'
        ' of two equal patches, and targets drawn at (dt, v dt).',
      )
    },
  )


def moving_clip(texture: np.ndarray) -> np.ndarray:
  """Frames of a texture [H, W] that moves steadily, [T, H, W, 1]."""
  return np.stack(
    [
      np.roll(texture, np.multiply(time, _VELOCITY), axis=(0, 1))
      for time in range(_NUM_FRAMES)
    ]
  ).astype(np.float32)[..., None]


def _adapted(preset: PatchOptions, seed: int, num_steps: int) -> PatchOptions:
  """A preset's options for triplets of the clip."""
  return replace(
    preset,
    seed=seed,
    num_steps=num_steps,
    patch_size=5,
    triplet={
      'time': _TIMES,
      'vertical': _ROWS,
      'horizontal': _COLUMNS,
      'level_steps': (0,),
    },
    condition={'sigma_aug': 0.0, 'dropout': 0.0},
    noise={'sigma_min': 0.02, 'sigma_max': 10.0},
    batch_size=384,
    num_references=384,
    network={'width': 160},
    optimizer={'learning_rate': 5e-3},
    sampling={'num_steps': 18},
  )


def _sample_displacements(
  key: jax.Array,
  model: LearnedDenoiser,
  options: PatchOptions,
  sources: np.ndarray,
  *,
  num: int,
) -> np.ndarray:
  """Samples of (dt, dy, dx) from sources to equal targets, [Q, num, 3]."""
  asked = jnp.repeat(jnp.asarray(sources), num, axis=0)
  cond = distributions.make_condition(model.layout, source=asked, target=asked)
  drawn = sample_vectors(key, model, options, cond, chunk_size=4096)
  displacement = triplets.displacement_of(
    jnp.asarray(drawn), displacement_range=_RANGE
  )
  return np.asarray(displacement).reshape(len(sources), num, 3)


def _exact(everything: PatchTriplet, source: np.ndarray) -> np.ndarray:
  """Frequencies of (dt, dy, dx) where both patches are the source."""
  fits = (np.asarray(everything.source) == source[None]).all(axis=-1)
  fits &= (np.asarray(everything.target) == source[None]).all(axis=-1)
  displacement = triplets.displacement_of(
    everything.delta[fits], displacement_range=_RANGE
  )
  return _histogram(np.asarray(displacement))


def _histogram(displacement: np.ndarray) -> np.ndarray:
  """Frequencies of displacements [N, 3] on the grid of whole pixels."""
  bins = [np.arange(low, high + 2) - 0.5 for low, high in _RANGE]
  counts, _ = np.histogramdd(displacement, bins=bins)
  return counts / len(displacement)


def _times() -> range:
  return range(_TIMES[0], _TIMES[1] + 1)


def _sample_targets(
  key: jax.Array,
  model: LearnedDenoiser,
  options: PatchOptions,
  sources: np.ndarray,
) -> np.ndarray:
  """A target at (dt, v dt) of every source and dt, [Q, 5, D]."""
  times = np.tile(_times(), len(sources))[:, None]
  displacement = np.concatenate([times, times * np.array([_VELOCITY])], axis=1)
  delta = triplets.to_delta(
    jnp.asarray(displacement, jnp.float32),
    jnp.zeros(len(displacement)),
    displacement_range=_RANGE,
  )
  source = jnp.repeat(jnp.asarray(sources), len(_times()), axis=0)
  cond = distributions.make_condition(model.layout, source=source, delta=delta)
  drawn = sample_vectors(key, model, options, cond)
  return drawn.reshape(len(sources), len(_times()), -1)


def _modes(found: np.ndarray) -> np.ndarray:
  """The most frequent (dy, dx) of every dt, over all questions, [5, 2]."""
  total = np.mean([_histogram(own) for own in found], axis=0)
  best = [np.unravel_index(own.argmax(), own.shape) for own in total]
  return np.add(best, (_ROWS[0], _COLUMNS[0]))


def _measures(
  found: np.ndarray, exact: np.ndarray, drawn: np.ndarray, sources: np.ndarray
) -> dict[str, Measure]:
  truth = np.array(_times())[:, None] * np.array([_VELOCITY])
  distance = np.linalg.norm(_modes(found) - truth, axis=-1)
  apart = [
    total_variation(_histogram(own), right) + (1 - _histogram(own).sum()) / 2
    for own, right in zip(found, exact, strict=True)
  ]
  off = np.linalg.norm(
    found[..., 1:] - found[..., :1].round() * np.array(_VELOCITY), axis=-1
  )
  error = np.sqrt(np.mean((drawn - sources[:, None]) ** 2, axis=(0, 2)))
  return {
    'distance of the mode at a dt to v dt, largest, pixels': Measure(
      float(distance.max()), at_most=0
    ),
    'distance of a drawn displacement to v dt, median, pixels': Measure(
      float(np.median(off)), at_most=0.15
    ),
    'p(dt, dy, dx | source, target), total variation to exact': Measure(
      float(np.mean(apart)), at_most=0.2
    ),
    'error of a target at (dt, v dt), largest of all dt': Measure(
      float(error.max()), at_most=0.1
    ),
  }


@figures.own_style
def _picture(
  clip: np.ndarray,
  found: np.ndarray,
  exact: np.ndarray,
  drawn: np.ndarray,
  sources: np.ndarray,
) -> figures.Figure:
  figure = figures.new_figure(
    12,
    7,
    title='A texture that moves by'
    f' dy {_VELOCITY[0]}, dx {_VELOCITY[1]} pixels per frame',
  )
  grid = figure.subplots(3, len(_times()))
  side = round(sources.shape[1] ** 0.5)
  shown = int(sources.std(axis=1).argmax())
  for index, time in enumerate(_times()):
    figures.show_image(grid[0, index], clip[index], f'frame {index}')
    source, target = (
      own.reshape(side, side, 1)
      for own in (sources[shown], drawn[shown, index])
    )
    pair = np.concatenate([source, np.ones((side, 1, 1)), target], axis=1)
    figures.show_image(grid[1, index], pair, f'source, target at dt {time}')
    grid[2, index].set_axis_off()
  models = np.mean([_histogram(own) for own in found], axis=0)
  for place, (title, frequency) in enumerate(
    {'exact': exact.mean(axis=0), 'drawn': models}.items()
  ):
    ax = figure.add_subplot(3, 2, 5 + place)
    map_ = ax.imshow(
      frequency.sum(axis=1),
      cmap='magma',
      extent=(_COLUMNS[0] - 0.5, _COLUMNS[1] + 0.5, 2.5, -2.5),
      aspect='auto',
    )
    figure.colorbar(map_, ax=ax, label='frequency')
    ax.set(
      title=f'p(dt, dx): {title}', xlabel='dx, pixels', ylabel='dt, frames'
    )
  return figure
