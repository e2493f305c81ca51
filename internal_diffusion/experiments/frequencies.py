"""Distributions over a finite set of points: frequencies, distance, bars."""

from collections.abc import Mapping

import numpy as np

from internal_diffusion import figures


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
  """Half the sum of |p - q|, for arrays of probabilities of one shape."""
  return float(abs(p - q).sum() / 2)


def nearest_frequencies(samples: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Frequency of each point [N, D] as the nearest to samples [K, D], [N]."""
  distance = (points**2).sum(axis=-1) - 2 * samples @ points.T
  counts = np.bincount(distance.argmin(axis=1), minlength=len(points))
  return counts / len(samples)


def draw_bars(axes: figures.Axes, series: Mapping[str, np.ndarray]) -> None:
  """Draws probabilities [N] side by side; the first, grey, is exact."""
  width = 0.8 / len(series)
  for number, (label, values) in enumerate(series.items()):
    x = 1 + np.arange(len(values)) + (number - (len(series) - 1) / 2) * width
    colour = f'C{number - 1}' if number else '0.6'
    axes.bar(x, values, width, color=colour, label=label)
  axes.locator_params(axis='x', integer=True)
  axes.set_ylabel('probability')
  axes.legend()


def draw_points(
  axes: figures.Axes, exact: np.ndarray, frequency: np.ndarray
) -> None:
  """Draws exact probabilities [N] as bars and frequencies [N] as dots.

  The points are on a circle; the middle of the axis is number 0.
  """
  offset = np.arange(len(exact)) - len(exact) // 2
  axes.bar(offset, exact[offset], color='0.6', label='closed form')
  axes.plot(offset, frequency[offset], 'o', color='C0', label='network')
  axes.set(xlabel='point, from the given one', ylabel='probability')
  axes.legend()
