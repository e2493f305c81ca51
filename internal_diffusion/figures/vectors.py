"""Figures of measured vectors: the vectors, their residuals, reliability."""

import matplotlib.ticker
import numpy as np

from internal_diffusion.figures.images import (
  BAR_INCHES,
  panels,
  show_image,
  upper_quantile,
)
from internal_diffusion.figures.style import Figure, new_figure, own_style

_PART = 0.9  # Of the grid's distance that a long arrow covers.
_NUM_BINS = 80
_TAIL = 0.002  # Part of the residuals beyond each end of the histogram.


@own_style
def vector_figure(
  image: np.ndarray,
  points: np.ndarray,
  vectors: np.ndarray,
  deviation: np.ndarray,
  *,
  title: str,
) -> Figure:
  """Vectors over a frame, coloured by their standard deviation.

  Vectors that are not finite are crosses.

  Args:
    image: First frame, [H, W, C] in [-1, 1].
    points: Pixels (x, y) of a grid, [m, n, 2].
    vectors: Displacements (u, v) in pixels, [m, n, 2].
    deviation: Standard deviation of each vector, in pixels, [m, n].
    title: Title of the figure.
  """
  figure = panels(image.shape, title=title, zoom=3, extra_width=BAR_INCHES)
  axes = figure.add_subplot()
  known = np.isfinite(vectors).all(axis=-1) & np.isfinite(deviation)
  lengths = np.linalg.norm(vectors[known], axis=-1)
  longest = upper_quantile(lengths) or 1.0
  step = _step(points)
  factor = _PART * step / longest
  note = f'arrows {factor:.2g} times as long' if known.any() else 'no vector'
  show_image(axes, 0.5 * image + 0.5, note)  # Pale, so that arrows stand out.
  axes.autoscale(False)
  axes.plot(*points[~known].T, 'x', color='0.4', markersize=3)
  if known.any():
    drawn = axes.quiver(
      *points[known].T,
      *vectors[known].T,
      deviation[known],
      cmap='viridis',
      angles='xy',
      scale_units='xy',
      scale=1 / factor,
      width=0.07 * step,
      units='xy',
    )
    drawn.set_clim(0, upper_quantile(deviation[known]) or 1.0)
    figure.colorbar(drawn, ax=axes, label='standard deviation, pixels')
  return figure


@own_style
def residual_figure(residuals: np.ndarray, *, title: str) -> Figure:
  """Histogram of residuals [N] beside a Gaussian of the same middle half."""
  figure = new_figure(5, 3.6, title=title)
  axes = figure.add_subplot()
  values = 127.5 * residuals
  low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
  if high <= low:
    low, high = low - 1, high + 1
  bins = np.linspace(low, high, _NUM_BINS).tolist()
  axes.hist(values, bins, density=True, color='C0')
  quarters = np.quantile(values, [0.25, 0.75])
  centre, spread = quarters.mean(), max(np.diff(quarters)[0] / 1.349, 1e-6)
  line = np.linspace(low, high, 400)
  density = np.exp(-(((line - centre) / spread) ** 2) / 2)
  label = f'Gaussian, {spread:.2g} grey levels'
  axes.plot(
    line, density / (spread * np.sqrt(2 * np.pi)), color='C3', label=label
  )
  axes.set(
    xlabel='second frame minus first, grey levels of 255',
    ylabel='density',
    yscale='log',
  )
  axes.set_ylim(bottom=1e-5)
  axes.legend(frameon=False)
  return figure


@own_style
def reliability_figure(
  nominal: np.ndarray, coverage: np.ndarray, *, title: str
) -> Figure:
  """Part of the errors of u and v [2, L] that intervals hold.

  `nominal` are the confidences of the intervals, [L].
  """
  figure = new_figure(4, 4, title=title)
  axes = figure.add_subplot()
  axes.plot([0, 1], [0, 1], color='0.6', linewidth=1)
  for name, values in zip(('u', 'v'), coverage, strict=True):
    axes.plot(nominal, values, 'o-', markersize=4, label=name)
  axes.set(
    xlabel='confidence of the interval',
    ylabel='part of the errors in it',
    xlim=(0, 1),
    ylim=(0, 1),
    aspect='equal',
  )
  axes.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
  axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
  axes.legend(frameon=False)
  return figure


def _step(points: np.ndarray) -> float:
  """Distance of neighbours in a grid of points [m, n, 2]."""
  for axis in (1, 0):
    if points.shape[axis] > 1:
      return float(np.abs(np.diff(points, axis=axis)).max())
  return 16.0
