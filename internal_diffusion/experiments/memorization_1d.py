"""Memorization in one dimension, and how noise on the condition prevents it.

The model draws numbers x0 given a number c. Where conditions recur exactly,
several x0 have the same c, and the network learns their distribution. Where
they recur only approximately, every x0 has its own c. The map is then a
bijection, and a network that is trained for long learns to compute x0 from c,
which is copying. Noise on c hides the small differences, so the network keeps
drawing from all x0 with similar conditions.
"""

import functools

import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.patches import PatchOptions
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled

_NUM_CLUSTERS = 6
_PER_CLUSTER = 4
_SPACING = 0.04  # Of the conditions in a cluster that recurs nearly.
_SIGMA_AUG = 0.1
_COPY_DISTANCE = 0.03  # A third of the smallest distance between two x0.
_NUM_STEPS = 2500
_NUM_SAMPLES = 2000  # For each condition, at the end.


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on exact and near recurrence, the latter with and without noise."""
  exact_c, near_c, x0 = make_data(seed)
  cases = {
    'exact recurrence, no noise': (exact_c, 0.0),
    'near recurrence, no noise': (near_c, 0.0),
    'near recurrence, noise': (near_c, _SIGMA_AUG),
  }
  curves, drawn, expected = {}, {}, {}
  num = scaled(_NUM_SAMPLES, effort, at_least=64)
  num_steps = scaled(_NUM_STEPS, effort, at_least=4)
  for name, (c, sigma_aug) in cases.items():
    options = points.point_options(
      seed, sigma_aug=sigma_aug, num_steps=num_steps
    )
    drawn[name], curves[name] = _train(x0, c, options, num, progress)
    # The closed form copies with the weight of a condition's own x0.
    weights = points.kernel_weights(c, c, sigma_aug=sigma_aug)
    expected[name] = float(np.diag(weights).mean())
  copies = {name: copied_fraction(found, x0) for name, found in drawn.items()}
  return Result(
    measures=_measures(copies, expected),
    samples={
      'x0': x0,
      'conditions_exact': exact_c,
      'conditions_near': near_c,
      **{f'drawn: {name}': found for name, found in drawn.items()},
      **{f'copies: {name}': curve for name, curve in curves.items()},
    },
    pictures={
      'memorization': (
        functools.partial(_picture, x0, cases, drawn, curves, expected),
        'Densities given one condition, and the fraction of copies as training'
        ' goes on, with the fraction that the closed form copies.',
      )
    },
  )


def _train(
  x0: np.ndarray, c: np.ndarray, options: PatchOptions, num: int, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Draws per condition [N, num], and (step, fraction of copies) [S, 2]."""
  curve: list[tuple[int, float]] = []

  def watch(step: int, sample: points.PointSampleFn) -> None:
    found = sample(np.repeat(c, 64, axis=0)).reshape(len(x0), -1)
    curve.append((step, copied_fraction(found, x0)))

  sample = points.fit_points(x0, c, options, watch=watch, progress=progress)
  drawn = sample(np.repeat(c, num, axis=0)).reshape(len(x0), num)
  return drawn, np.array(curve)


def make_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Conditions that recur exactly and nearly, and x0, [24, 1] each."""
  num = _NUM_CLUSTERS * _PER_CLUSTER
  centres = np.repeat(np.linspace(-1, 1, _NUM_CLUSTERS), _PER_CLUSTER)
  offsets = np.arange(_PER_CLUSTER) - (_PER_CLUSTER - 1) / 2
  near = centres + _SPACING * np.tile(offsets, _NUM_CLUSTERS)
  x0 = np.random.default_rng(seed).permutation(np.linspace(-1, 1, num))
  columns = np.stack([centres, near, x0], axis=-1).astype(np.float32)
  return columns[:, :1], columns[:, 1:2], columns[:, 2:]


def copied_fraction(drawn: np.ndarray, x0: np.ndarray) -> float:
  """Fraction of samples [N, K] that equal the x0 [N, 1] of their condition."""
  return float((abs(drawn - x0) < _COPY_DISTANCE).mean())


def _measures(
  copies: dict[str, float], expected: dict[str, float]
) -> dict[str, Measure]:
  exact, near, noisy = copies
  return {
    f'{near}: fraction of copies': Measure(copies[near], at_least=0.95),
    f'{noisy}: fraction of copies': Measure(
      copies[noisy], at_most=expected[noisy] + 0.05
    ),
    f'{noisy}: fraction that the closed form copies': Measure(expected[noisy]),
    f'{exact}: fraction of copies': Measure(
      copies[exact], at_most=expected[exact] + 0.05
    ),
    f'{exact}: fraction that the data copies': Measure(expected[exact]),
  }


@figures.own_style
def _picture(
  x0: np.ndarray,
  cases: dict[str, tuple[np.ndarray, float]],
  drawn: dict[str, np.ndarray],
  curves: dict[str, np.ndarray],
  expected: dict[str, float],
) -> figures.Figure:
  figure = figures.new_figure(13, 7, title='Memorization in one dimension')
  grid = figure.subplots(2, 3)
  shown = 5
  for ax, (name, (c, sigma_aug)) in zip(grid[0], cases.items(), strict=True):
    weights = points.kernel_weights(c[shown][None], c, sigma_aug=sigma_aug)[0]
    frequency, edges = np.histogram(drawn[name][shown], 80, (-1.2, 1.2))
    ax.stairs(frequency / drawn[name].shape[1], edges, fill=True, label='drawn')
    ax.plot(x0[:, 0], weights, 'o', color='0.4', label='closed form')
    ax.axvline(x0[shown, 0], color='C3', linestyle=':', label='its own x0')
    ax.set(title=name, xlabel='x0 given one c', ylabel='probability')
    ax.set_ylim(0, max(weights.max(), 0.15) * 1.15)
  grid[0, 2].legend(loc='upper left', bbox_to_anchor=(1.02, 1))
  for ax, (name, curve) in zip(grid[1], curves.items(), strict=True):
    ax.plot(*curve.T, color='C0', label='network')
    ax.axhline(expected[name], color='0.4', linestyle='--', label='closed form')
    ax.set(title='fraction of copies', xlabel='training step')
    ax.set_ylim(-0.02, 1.05)
  grid[1, 2].legend(loc='upper left', bbox_to_anchor=(1.02, 1))
  return figure
