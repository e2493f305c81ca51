"""Figures of probability densities of the flow of single pixels."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from internal_diffusion.figures.style import Figure, new_figure, own_style

_COLUMNS = 4
_INCHES = 3.2  # Side of a panel.


class Density(NamedTuple):
  """Density of a pixel's flow on a grid, and samples of it.

  Attributes:
    grid: Flows (u, v) in pixels, [M, M, 2]; u grows along the second axis.
    log_density: Log density at the grid's points, [M, M], in nats.
    samples: Samples (u, v) in pixels, [K, 2].
  """

  grid: np.ndarray
  log_density: np.ndarray
  samples: np.ndarray


@own_style
def densities(found: Mapping[str, Density], *, title: str) -> Figure:
  """Densities side by side, dark where likely, with their samples as dots.

  Args:
    found: Densities by their titles.
    title: Title of the figure.

  Raises:
    ValueError: If there is no density.
  """
  if not found:
    raise ValueError('`found` must hold at least one density, got none.')
  num_columns = min(len(found), _COLUMNS)
  num_rows = -(-len(found) // num_columns)
  figure = new_figure(
    num_columns * _INCHES, num_rows * _INCHES + 0.4, title=title
  )
  for index, (name, density) in enumerate(found.items()):
    axes = figure.add_subplot(num_rows, num_columns, index + 1)
    u, v = density.grid[..., 0], density.grid[..., 1]
    likelihood = np.exp(density.log_density - density.log_density.max())
    axes.pcolormesh(u, v, likelihood, cmap='Greys', shading='nearest')
    axes.plot(*density.samples.T, '.', color='C3', markersize=2, alpha=0.5)
    axes.set(
      title=name,
      xlabel='u, pixels',
      ylabel='v, pixels',
      xlim=(u.min(), u.max()),
      ylim=(v.max(), v.min()),  # v points down, as in the image.
      aspect='equal',
    )
  return figure
