"""Figures of the densities of single pixels' flows, with samples of them."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.figure
import numpy as np

from internal_diffusion import figures

_COLUMNS = 4
_INCHES = 3.2  # Side of a density.


class Density(NamedTuple):
  """A density on a grid, and samples.

  Attributes:
    grid: Flows (u, v), [M, M, 2], u growing along the second axis.
    log_density: There, [M, M], in nats.
    samples: (u, v), [K, 2].
  """

  grid: np.ndarray
  log_density: np.ndarray
  samples: np.ndarray


def write_densities(
  path: str | os.PathLike[str],
  densities: Mapping[str, Density],
  *,
  title: str,
) -> None:
  """Densities side by side, dark where likely, with their samples on them.

  Args:
    path: Of the PNG.
    densities: By what is written above each.
    title: Of the figure.

  Raises:
    ValueError: If there is none.
  """
  if not densities:
    raise ValueError('`densities` must hold a density, got none.')
  num_columns = min(len(densities), _COLUMNS)
  num_rows = -(-len(densities) // num_columns)
  figure = matplotlib.figure.Figure(
    figsize=(num_columns * _INCHES, num_rows * _INCHES + 0.4),
    layout='constrained',
  )
  figure.suptitle(title)
  all_axes = list(figure.subplots(num_rows, num_columns, squeeze=False).flat)
  for axes in all_axes:
    axes.set_visible(False)
  for axes, (name, density) in zip(all_axes, densities.items(), strict=False):
    axes.set_visible(True)
    u, v = density.grid[..., 0], density.grid[..., 1]
    likely = np.exp(density.log_density - density.log_density.max())
    axes.pcolormesh(u, v, likely, cmap='Greys', shading='nearest')
    axes.plot(*density.samples.T, '.', color='C3', markersize=2, alpha=0.5)
    axes.set(
      title=name,
      xlabel='u, pixels',
      ylabel='v, pixels',
      xlim=(u.min(), u.max()),
      # As in the picture, v points down.
      ylim=(v.max(), v.min()),
      aspect='equal',
    )
  figures.write_figure(path, figure)
