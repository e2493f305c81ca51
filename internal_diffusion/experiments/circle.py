"""Each point of a circle mapped to itself: copying against a local kernel.

Without noise on the condition the network returns the given point. With noise,
the condition fits several neighbours, and the samples are distributed over them
as the kernel of bandwidth sigma_aug.
"""

import numpy as np

from internal_diffusion import figures
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import (
  Measure,
  Result,
  total_variation,
)

_NUM_POINTS = 48
_NUM_STEPS = 2500
_NUM_SAMPLES = 20_000
_NUM_QUERIES = 8
_SIGMA_AUG = 0.25


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains with and without noise on the condition and compares.

  Args:
    seed: Seed of everything random.
    effort: Fraction of the full number of steps and samples, for a quick look.
    progress: Whether to show progress bars.
  """
  ring = points.ring(_NUM_POINTS)
  queries = ring[:: _NUM_POINTS // _NUM_QUERIES]
  num = max(256, round(effort * _NUM_SAMPLES))
  drawn, exact, distances = {}, {}, {}
  for name, sigma_aug in (('no noise', 0.0), ('noise', _SIGMA_AUG)):
    options = points.point_options(
      seed,
      sigma_aug=sigma_aug,
      num_steps=max(4, round(effort * _NUM_STEPS)),
    )
    sample = points.fit_points(ring, ring, options, progress=progress)
    drawn[name] = sample(np.repeat(queries, num, axis=0)).reshape(
      len(queries), num, 2
    )
    exact[name] = points.kernel_weights(queries, ring, sigma_aug=sigma_aug)
    distances[name] = [
      total_variation(points.nearest_frequencies(found, ring), wanted)
      for found, wanted in zip(drawn[name], exact[name], strict=True)
    ]
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
        _picture(ring, queries, drawn, exact),
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
  figure = figures.new_figure(
    11,
    7.5,
    title=f'A circle mapped to itself; condition noise 0 and {_SIGMA_AUG:g}',
  )
  shown = 1
  for row, name in zip(
    figure.subplots(2, 2, width_ratios=(1, 1.6)), drawn, strict=True
  ):
    cloud = drawn[name][shown][:500]
    row[0].plot(*ring.T, '.', color='0.7', label='points')
    row[0].plot(*cloud.T, '.', color='C0', alpha=0.2, label='drawn')
    row[0].plot(*queries[shown], 'x', color='C3', label='given')
    row[0].set(title=name, aspect='equal', xlabel='x', ylabel='y')
    row[0].legend(loc='center')
    index = np.arange(len(ring))
    frequency = points.nearest_frequencies(drawn[name][shown], ring)
    row[1].bar(index, exact[name][shown], color='0.6', label='closed form')
    row[1].plot(index, frequency, 'o', color='C0', label='network')
    row[1].set(
      title='Which point is drawn', xlabel='point', ylabel='probability'
    )
    row[1].legend()
  return figure
