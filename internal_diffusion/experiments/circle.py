"""Each point of a circle mapped to itself: copying against a local kernel.

Without noise on the condition the network returns the given point. With noise,
the condition fits several neighbours, and the samples are distributed over them
as the kernel of bandwidth sigma_aug.
"""

import functools

import numpy as np

from internal_diffusion import figures
from internal_diffusion.experiments import points
from internal_diffusion.experiments.frequencies import (
  draw_points,
  nearest_frequencies,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled

_NUM_POINTS = 48
_NUM_STEPS = 2500
_NUM_SAMPLES = 20_000
_NUM_QUERIES = 8
_SIGMA_AUG = 0.25


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains with and without noise on the condition and compares."""
  ring = points.ring(_NUM_POINTS)
  queries = ring[:: _NUM_POINTS // _NUM_QUERIES]
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  num_steps = scaled(_NUM_STEPS, effort, at_least=4)
  drawn, exact, distances = {}, {}, {}
  for name, sigma_aug in (('no noise', 0.0), ('noise', _SIGMA_AUG)):
    options = points.point_options(
      seed, sigma_aug=sigma_aug, num_steps=num_steps
    )
    sample = points.fit_points(ring, ring, options, progress=progress)
    exact[name] = points.kernel_weights(queries, ring, sigma_aug=sigma_aug)
    drawn[name], distances[name] = points.compare(
      sample, queries, ring, exact[name], num=num
    )
  own = np.linalg.norm(drawn['no noise'] - queries[:, None], axis=-1)
  # Half of the distance to the neighbouring point.
  copies = own < np.pi / _NUM_POINTS
  return Result(
    measures={
      'without noise: fraction of copies of the given point': Measure(
        float(copies.mean()), at_least=0.95
      ),
      'with noise: total variation to the closed form, mean of 8': Measure(
        float(np.mean(distances['noise'])), at_most=0.04
      ),
      'with noise: total variation to the closed form, worst of 8': Measure(
        float(np.max(distances['noise']))
      ),
    },
    samples={
      'points': ring,
      'queries': queries,
      **{f'drawn_{k.replace(" ", "_")}': v for k, v in drawn.items()},
      **{f'exact_{k.replace(" ", "_")}': v for k, v in exact.items()},
    },
    pictures={
      'circle': (
        functools.partial(_picture, ring, queries, drawn, exact),
        'Each point mapped to itself: without noise on the condition the'
        ' network copies it, with noise it draws from a kernel around it.',
      )
    },
  )


@figures.own_style
def _picture(
  ring: np.ndarray,
  queries: np.ndarray,
  drawn: dict[str, np.ndarray],
  exact: dict[str, np.ndarray],
) -> figures.Figure:
  title = f'A circle mapped to itself; condition noise 0 and {_SIGMA_AUG:g}'
  figure = figures.new_figure(11, 7.5, title=title)
  grid = figure.subplots(2, 2, width_ratios=(1, 1.6))
  for (left, right), name in zip(grid, drawn, strict=True):
    left.plot(*ring.T, '.', color='0.7', label='points')
    cloud = drawn[name][0, :500]
    left.plot(*cloud.T, '.', color='C0', alpha=0.2, label='drawn')
    left.plot(*queries[0], 'x', color='C3', label='given')
    left.set(title=name, aspect='equal', xlabel='x', ylabel='y')
    left.legend(loc='center')
    frequency = nearest_frequencies(drawn[name][0], ring)
    draw_points(right, exact[name][0], frequency)
    right.set_title('Which point is drawn')
  return figure
