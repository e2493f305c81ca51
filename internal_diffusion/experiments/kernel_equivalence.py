"""A network trained with noise on its condition is the classical kernel.

First on a circle mapped to itself, for several noise levels: the distance of
the network's distribution from the closed form's, over the course of training.
Then on the patches of a photograph: the network's denoiser of p(target |
source, delta) against the posterior mean over all triplets.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data
import skimage.transform

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  PatchOptions,
  target_given_source_options,
)
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.experiments import points
from internal_diffusion.experiments.frequencies import (
  draw_points,
  nearest_frequencies,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import all_triplets, scaled, train
from internal_diffusion.options import replace
from internal_diffusion.training.examples import Examples
from internal_diffusion.types import Condition

_NUM_POINTS = 48
_NUM_QUERIES = 8
_LEVELS_AUG = (0.15, 0.25, 0.5)
_NUM_STEPS_CIRCLE = 2500
_NUM_STEPS_PHOTOGRAPH = 4000
_NUM_SAMPLES = 20_000
_NUM_WATCHED = 1000
_SIDE = 24  # To be the kernel, a network must know every patch by heart.
_SIGMA_AUG = 1.0
_SIGMAS = (0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 20.0)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on the circle and on a photograph and compares."""
  ring = points.ring(_NUM_POINTS)
  queries = ring[:: _NUM_POINTS // _NUM_QUERIES]
  curves, drawn = {}, {}
  for sigma_aug in _LEVELS_AUG:
    curves[sigma_aug], drawn[sigma_aug] = _on_circle(
      seed, ring, queries, sigma_aug, effort, progress
    )
  options = _photograph_options(seed, effort)
  model, examples = train([_photograph()], options, progress=progress)
  errors = _relative_errors(jax.random.key(seed), examples, options, model)
  measures = {
    f'circle, sigma_aug {s:g}: total variation to the closed form': Measure(
      float(curve[-1, 1]), at_most=0.04
    )
    for s, curve in curves.items()
  }
  # All noise levels but 0.2.
  worst = {name: max(values[1:]) for name, values in errors.items()}
  name = 'photograph: relative error for sigma >= 0.3, worst'
  measures[name] = Measure(worst['plain'], at_most=0.05)
  name = 'photograph: the same, relative to differences from the mean'
  measures[name] = Measure(worst['centred'])
  return Result(
    measures=measures,
    samples={
      'points': ring,
      'queries': queries,
      'sigmas': np.array(_SIGMAS),
      **{f'relative_error_{k}': np.array(v) for k, v in errors.items()},
      **{f'curve_{s:g}': curve for s, curve in curves.items()},
      **{f'drawn_{s:g}': found for s, found in drawn.items()},
    },
    pictures={
      'kernel': (
        functools.partial(_picture, ring, queries, drawn, curves, errors),
        'Network against closed form: distance on the circle as training goes'
        ' on, one distribution for each level of noise on the condition, and'
        ' the error of the denoiser on a photograph.',
      )
    },
  )


def _on_circle(
  seed: int,
  ring: np.ndarray,
  queries: np.ndarray,
  sigma_aug: float,
  effort: float,
  progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
  """Curve of total variation over steps [S, 2], and draws [Q, K, 2]."""
  exact = points.kernel_weights(queries, ring, sigma_aug=sigma_aug)
  num_watched = scaled(_NUM_WATCHED, effort, at_least=64)
  num_steps = scaled(_NUM_STEPS_CIRCLE, effort, at_least=4)
  curve: list[tuple[int, float]] = []

  def compare(step: int, sample: points.PointSampleFn, num: int) -> np.ndarray:
    drawn, distances = points.compare(sample, queries, ring, exact, num=num)
    curve.append((step, distances.mean()))
    return drawn

  def watch(step: int, sample: points.PointSampleFn) -> None:
    compare(step, sample, num_watched)

  options = points.point_options(seed, sigma_aug=sigma_aug, num_steps=num_steps)
  sample = points.fit_points(
    ring, ring, options, watch=watch, progress=progress
  )
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  drawn = compare(num_steps, sample, num)
  return np.array(curve), drawn


def _photograph() -> np.ndarray:
  """A grey photograph [24, 24, 1]."""
  crop = skimage.data.coffee()[60:360, 120:420].mean(axis=-1) / 255
  small = skimage.transform.resize(crop, (_SIDE, _SIDE), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)[..., None]


def _photograph_options(seed: int, effort: float) -> PatchOptions:
  return replace(
    target_given_source_options(),
    seed=seed,
    num_steps=scaled(_NUM_STEPS_PHOTOGRAPH, effort),
    triplet={'level_steps': (0,), 'horizontal': (4, 4)},
    condition={'sigma_aug': _SIGMA_AUG, 'dropout': 0.0},
    noise={'sigma_min': 0.2, 'sigma_max': 20.0},
    batch_size=512,
    num_references=512,
    optimizer={'learning_rate': 5e-3},
  )


def _relative_errors(
  key: jax.Array,
  examples: Examples,
  options: PatchOptions,
  model: LearnedDenoiser,
) -> dict[str, list[float]]:
  """Norm of network minus closed form, over the norm of the closed form."""
  everything = all_triplets(examples, options)
  vectors = jnp.concatenate([everything.source, everything.delta], axis=-1)
  closed_form = ClosedFormDenoiser.create(
    everything.target, conditions=vectors, sigma_aug=_SIGMA_AUG
  )
  mean = jnp.mean(everything.target)
  found: dict[str, list[float]] = {'plain': [], 'centred': []}
  index_key, noise_key, cond_key = jax.random.split(key, 3)
  index = jax.random.randint(index_key, (2048,), 0, len(vectors))
  noise = jax.random.normal(noise_key, (2048, everything.target.shape[1]))
  shown = vectors[index] + _SIGMA_AUG * jax.random.normal(
    cond_key, (2048, vectors.shape[1])
  )
  cond = Condition(level=jnp.zeros(2048, jnp.int32), vector=shown)
  denoise = jax.jit(lambda model, x, sigma: model(x, sigma, cond))
  for sigma in _SIGMAS:
    x = everything.target[index] + sigma * noise
    wanted = denoise(closed_form, x, sigma)
    denoised = denoise(model, x, sigma)
    error = jnp.linalg.norm(denoised - wanted)
    found['plain'].append(float(error / jnp.linalg.norm(wanted)))
    found['centred'].append(float(error / jnp.linalg.norm(wanted - mean)))
  return found


@figures.own_style
def _picture(
  ring: np.ndarray,
  queries: np.ndarray,
  drawn: dict[float, np.ndarray],
  curves: dict[float, np.ndarray],
  errors: dict[str, list[float]],
) -> figures.Figure:
  figure = figures.new_figure(
    13, 7, title='Network with noise on its condition against the closed form'
  )
  grid = figure.subplots(2, 3)
  for ax, (sigma_aug, found) in zip(grid[0], drawn.items(), strict=True):
    exact = points.kernel_weights(queries[:1], ring, sigma_aug=sigma_aug)[0]
    draw_points(ax, exact, nearest_frequencies(found[0], ring))
    ax.set_title(f'circle, sigma_aug {sigma_aug:g}')
  left, middle, right = grid[1]
  for sigma_aug, curve in curves.items():
    left.semilogy(*curve[:-1].T, label=f'sigma_aug {sigma_aug:g}')
  left.axhline(0.04, color='0.5', linestyle=':')
  left.set(title='distance as training goes on', ylabel='total variation')
  left.set_xlabel('training step')
  left.legend()
  middle.semilogx(_SIGMAS, errors['plain'], 'o-', label='over the norm')
  centred = errors['centred']
  middle.semilogx(_SIGMAS, centred, 'o-', label='over the norm, centred')
  middle.axhline(0.05, color='0.5', linestyle=':')
  middle.set(title='photograph: error of the denoiser', ylabel='relative error')
  middle.set(xlabel='sigma', ylim=(0, None))
  middle.legend()
  figures.show_image(right, _photograph(), 'the photograph')
  return figure
