"""A network trained with noise on its condition is the classical kernel.

First on a circle mapped to itself, for several noise levels: the distance of
the network's distribution from the closed form's, over the course of training.
Then on the patches of a photograph: the network's denoiser of p(target |
source, delta) against the posterior mean over all triplets.
"""

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
from internal_diffusion.applications.patches.examples import level_examples
from internal_diffusion.applications.patches.training import fit_denoiser
from internal_diffusion.data import triplets
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import (
  Measure,
  Result,
  total_variation,
)
from internal_diffusion.options import replace
from internal_diffusion.training.examples import Examples
from internal_diffusion.types import Condition, Denoiser

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
  """Trains on the circle and on a photograph and compares.

  Args:
    seed: Seed of everything random.
    effort: Fraction of the full number of steps and samples, for a quick look.
    progress: Whether to show progress bars.
  """
  ring = points.ring(_NUM_POINTS)
  queries = ring[:: _NUM_POINTS // _NUM_QUERIES]
  curves, drawn = {}, {}
  for sigma_aug in _LEVELS_AUG:
    curves[sigma_aug], drawn[sigma_aug] = _on_circle(
      seed, ring, queries, sigma_aug, effort, progress
    )
  options = _photograph_options(seed, effort)
  examples = level_examples([_photograph()], options)
  model = fit_denoiser(examples, options, progress=progress).model
  errors = _relative_errors(jax.random.key(seed), examples, options, model)
  measures = {
    f'circle, sigma_aug {s:g}: total variation to the closed form': Measure(
      float(curve[-1, 1]), at_most=0.04
    )
    for s, curve in curves.items()
  }
  above = [e for s, e in zip(_SIGMAS, errors['plain'], strict=True) if s >= 0.3]
  centred = [
    e for s, e in zip(_SIGMAS, errors['centred'], strict=True) if s >= 0.3
  ]
  measures['photograph: relative error for sigma >= 0.3, worst'] = Measure(
    max(above), at_most=0.05
  )
  measures['photograph: the same, relative to deviations from the mean'] = (
    Measure(max(centred))
  )
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
        _picture(ring, queries, drawn, curves, errors),
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

  def compare(
    sample: points.PointSampleFn, num: int
  ) -> tuple[float, np.ndarray]:
    found = sample(np.repeat(queries, num, axis=0))
    found = found.reshape(len(queries), num, 2)
    distances = [
      total_variation(points.nearest_frequencies(part, ring), wanted)
      for part, wanted in zip(found, exact, strict=True)
    ]
    return float(np.mean(distances)), found

  curve: list[tuple[int, float]] = []

  def watch(step: int, sample: points.PointSampleFn) -> None:
    distance, _ = compare(sample, max(64, round(effort * _NUM_WATCHED)))
    curve.append((step, distance))

  options = points.point_options(
    seed,
    sigma_aug=sigma_aug,
    num_steps=max(4, round(effort * _NUM_STEPS_CIRCLE)),
  )
  sample = points.fit_points(
    ring, ring, options, watch=watch, progress=progress
  )
  distance, found = compare(sample, max(256, round(effort * _NUM_SAMPLES)))
  return np.array([*curve, (options.num_steps, distance)]), found


def _photograph() -> np.ndarray:
  """A grey photograph [24, 24, 1]."""
  crop = skimage.data.coffee()[60:360, 120:420].mean(axis=-1) / 255
  small = skimage.transform.resize(crop, (_SIDE, _SIDE), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)[..., None]


def _photograph_options(seed: int, effort: float) -> PatchOptions:
  return replace(
    target_given_source_options(),
    seed=seed,
    num_steps=max(1, round(effort * _NUM_STEPS_PHOTOGRAPH)),
    triplet={'level_steps': (0,), 'horizontal': (4, 4)},
    condition={'sigma_aug': _SIGMA_AUG, 'dropout': 0.0},
    noise={'sigma_min': 0.2, 'sigma_max': 20.0},
    batch_size=512,
    num_references=512,
    optimizer={'learning_rate': 5e-3},
  )


@jax.jit
def _denoise(
  model: Denoiser, x: jax.Array, sigma: jax.Array, cond: Condition
) -> jax.Array:
  return model(x, sigma, cond)


def _relative_errors(
  key: jax.Array,
  examples: Examples,
  options: PatchOptions,
  model: LearnedDenoiser,
) -> dict[str, list[float]]:
  """Norm of network minus closed form, over the norm of the closed form."""
  everything = triplets.enumerate_triplets(
    examples.data.pyramid,
    examples.data.table,
    patch_size=options.patch_size,
    displacement_range=options.triplet.displacement_range,
  )
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
  for sigma in _SIGMAS:
    x = everything.target[index] + sigma * noise
    wanted = _denoise(closed_form, x, jnp.float32(sigma), cond)
    denoised = _denoise(model, x, jnp.float32(sigma), cond)
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
  index = (np.arange(len(ring)) + len(ring) // 2) % len(ring)
  for ax, (sigma_aug, found) in zip(grid[0], drawn.items(), strict=True):
    exact = points.kernel_weights(queries[:1], ring, sigma_aug=sigma_aug)[0]
    frequency = points.nearest_frequencies(found[0], ring)
    offset = np.arange(len(ring)) - len(ring) // 2
    ax.bar(offset, exact[index], color='0.6', label='closed form')
    ax.plot(offset, frequency[index], 'o', color='C0', label='network')
    ax.set(
      title=f'circle, sigma_aug {sigma_aug:g}',
      xlabel='points from the given one',
      ylabel='probability',
    )
    ax.legend()
  for sigma_aug, curve in curves.items():
    grid[1, 0].semilogy(*curve[:-1].T, label=f'sigma_aug {sigma_aug:g}')
  grid[1, 0].axhline(0.04, color='0.5', linestyle=':')
  grid[1, 0].set(
    title='distance as training goes on',
    xlabel='training step',
    ylabel='total variation',
  )
  grid[1, 0].legend()
  grid[1, 1].semilogx(_SIGMAS, errors['plain'], 'o-', label='of its size')
  grid[1, 1].semilogx(
    _SIGMAS, errors['centred'], 'o-', label='of its deviation from the mean'
  )
  grid[1, 1].axhline(0.05, color='0.5', linestyle=':')
  grid[1, 1].set(
    title='photograph: error of the denoiser',
    xlabel='sigma',
    ylabel='relative error',
    ylim=(0, None),
  )
  grid[1, 1].legend()
  grid[1, 2].imshow(_photograph()[..., 0], cmap='gray', vmin=-1, vmax=1)
  grid[1, 2].set_title('the photograph')
  grid[1, 2].set_axis_off()
  return figure
