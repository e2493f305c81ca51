"""The result of an experiment with classes: measures, samples and figures."""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from internal_diffusion import figures
from internal_diffusion.data import image_io
from internal_diffusion.experiments import class_guidance
from internal_diffusion.experiments.class_guidance import WEIGHTS, Drawn
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled

_NUM_SAMPLES = 512  # Of each class.


def compare_guidance(
  seed: int,
  classes: Mapping[str, tuple[np.ndarray, np.ndarray]],
  goal: Callable[[float], float],
  *,
  shape: tuple[int, int, int],
  effort: float,
  progress: bool,
) -> Result:
  """Trains, draws under every guidance and judges.

  Args:
    seed: Seed of everything random.
    classes: By name, patches that are fitted and patches that the judge learns,
      [N, D] each.
    goal: Fraction of the draws by classifier guidance of weight 1 that the
      judge should assign to their class, given that fraction of real patches.
    shape: Height, width and channels of a patch.
    effort: Length relative to the full experiment.
    progress: Whether to show progress bars.
  """
  fitted, held_out = map(np.stack, zip(*classes.values(), strict=True))
  models = class_guidance.train(
    fitted, held_out, seed, effort=effort, progress=progress
  )
  num = scaled(_NUM_SAMPLES, effort, at_least=64)
  drawn = class_guidance.draw_all(seed, models, fitted, num)
  real_share = class_guidance.share(models.judge, fitted)
  return Result(
    measures=measures(drawn, real_share=real_share, at_least=goal(real_share)),
    samples={f'drawn: {name}': found.vectors for name, found in drawn.items()},
    pictures={
      'trade_off': (
        functools.partial(trade_off, drawn, real_share),
        'Fidelity and diversity over the weight of guidance.',
      ),
      'patches': (
        functools.partial(
          class_patches, drawn, fitted, tuple(classes), shape=shape
        ),
        'Patches of each class by guidance, beside real ones.',
      ),
    },
  )


def measures(
  drawn: Mapping[str, Drawn], *, real_share: float, at_least: float
) -> dict[str, Measure]:
  """Fidelity and diversity of all draws.

  Args:
    drawn: From `draw_all`.
    real_share: Fraction of real vectors that the judge assigns to their class.
    at_least: Goal of classifier guidance of weight 1.
  """
  found = {'share of the class: real': Measure(real_share)}
  for name, of_name in drawn.items():
    goal = at_least if name == 'classifier, weight 1' else None
    found[f'share of the class: {name}'] = Measure(of_name.share, at_least=goal)
    found[f'diversity: {name}'] = Measure(of_name.diversity)
  for name in ('no threshold', 'static threshold', 'dynamic threshold'):
    of_name = drawn[f'classifier-free, weight {WEIGHTS[-1]:g}, {name}']
    label = f'weight {WEIGHTS[-1]:g}, {name}: fraction of values at the bounds'
    found[label] = Measure(of_name.outside)
  return found


@figures.own_style
def trade_off(drawn: Mapping[str, Drawn], real_share: float) -> figures.Figure:
  """Fidelity over diversity, a curve for each kind of guidance."""
  figure = figures.new_figure(7, 4.5, title='Fidelity and diversity')
  ax = figure.subplots()
  for kind in ('classifier', 'classifier-free'):
    found = [drawn[f'{kind}, weight {w:g}'] for w in WEIGHTS]
    right, diversity = (
      [getattr(f, n) for f in found] for n in ('share', 'diversity')
    )
    ax.plot(diversity, right, 'o-', label=f'{kind} guidance')
    for weight, x, y in zip(WEIGHTS, diversity, right, strict=True):
      ax.annotate(f'{weight:g}', (x, y), (4, -11), textcoords='offset points')
  plain = drawn['conditional model']
  ax.plot(plain.diversity, plain.share, '*', markersize=12, label='conditional')
  ax.plot(1, real_share, 'k+', markersize=12, label='real')
  ax.set(xlabel='variance over that of real patches')
  ax.set_ylabel('share of the class asked for')
  ax.legend()
  return figure


@figures.own_style
def class_patches(
  drawn: Mapping[str, Drawn],
  real: np.ndarray,
  names: tuple[str, ...],
  *,
  shape: tuple[int, int, int],
  num: int = 60,
) -> figures.Figure:
  """Drawn patches of `shape` (P, P, C), a column for each class.

  Args:
    drawn: From `draw_all`.
    real: Real patches, [K, N, D].
    names: Names of the classes.
    shape: Height, width and channels of a patch.
    num: Number of patches shown of each class.
  """
  rng = np.random.default_rng(0)
  chosen = [group[rng.permutation(len(group))[:num]] for group in real]
  shown = {
    'real': np.stack(chosen),
    'conditional model': drawn['conditional model'].vectors,
    **{
      name: drawn[name].vectors
      for name in drawn
      if name.endswith(
        ('weight 1', 'weight 8', 'static threshold', 'dynamic threshold')
      )
    },
  }
  width = 5.5 * len(names)
  figure = figures.new_figure(width, 1.25 * len(shown), title='By class')
  axes = figure.subplots(len(shown), len(names))
  for row, (name, groups) in zip(axes, shown.items(), strict=True):
    for ax, label, group in zip(row, names, groups, strict=True):
      squares = group[:num].reshape(-1, *shape)
      grid = image_io.make_grid(
        np.clip(squares, -1, 1), num_columns=num // 3, zoom=2
      )
      figures.show_image(ax, grid, f'{label}: {name}')
  return figure
