"""Figures of a patch model: its patches beside real ones, and its training."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from internal_diffusion.data import image_io
from internal_diffusion.figures.images import show_image
from internal_diffusion.figures.style import Figure, new_figure, own_style


@own_style
def patch_comparison(
  generated: np.ndarray, real: np.ndarray, *, title: str, num_columns: int = 16
) -> Figure:
  """Grid of generated patches beside a grid of real ones.

  Args:
    generated: Generated patches, [N, P, P, C] in [-1, 1].
    real: Real patches, [N, P, P, C] in [-1, 1].
    title: Title of the figure.
    num_columns: Number of patches in a row.
  """
  figure = new_figure(12, 6.6, title=title)
  for axes, images, name in zip(
    figure.subplots(1, 2), (generated, real), ('generated', 'real'), strict=True
  ):
    grid = image_io.make_grid(images, num_columns=num_columns, zoom=4)
    show_image(axes, grid, name)
  return figure


@own_style
def named_patches(
  vectors: Mapping[str, np.ndarray],
  *,
  title: str,
  num: int,
  num_columns: int,
  zoom: int = 3,
) -> Figure:
  """Grids of grey square patches, one below the other.

  Args:
    vectors: Patches as vectors [N, P * P] in [-1, 1] by the name of their set.
    title: Title of the figure.
    num: Number of patches to show of each set.
    num_columns: Number of patches in a row.
    zoom: Number of repetitions of a pixel along each axis.
  """
  height = 11 * math.ceil(num / num_columns) / num_columns + 0.4
  figure = new_figure(11, height * len(vectors), title=title)
  axes = np.ravel(figure.subplots(len(vectors), 1))
  for ax, (name, found) in zip(axes, vectors.items(), strict=True):
    side = math.isqrt(found.shape[-1])
    squares = np.asarray(found[:num]).reshape(-1, side, side, 1)
    grid = image_io.make_grid(
      np.clip(squares, -1, 1), num_columns=num_columns, zoom=zoom
    )
    show_image(ax, grid, name)
  return figure


@own_style
def denoising_strip(
  states: np.ndarray, sigmas: np.ndarray, *, num_columns: int = 13
) -> Figure:
  """Patches from noise to clean: one patch a row, one noise level a column.

  The figure shows states / sqrt(1 + sigma^2), which has the range of an image.

  Args:
    states: Noisy patches at all noise levels, [N, T+1, P, P, C].
    sigmas: Noise levels, [T+1].
    num_columns: Number of noise levels to show.
  """
  shown = np.linspace(0, len(sigmas) - 1, num_columns).round().astype(int)
  shown = np.unique(shown)
  scale = np.sqrt(1 + sigmas[shown] ** 2)[:, None, None, None]
  images = states[:, shown] / scale
  figure = new_figure(
    len(shown),
    len(states) + 0.8,
    title='From noise to clean: state at each noise level sigma',
  )
  grid = figure.subplots(len(states), len(shown), squeeze=False)
  for axes_row, row in zip(grid, images, strict=True):
    for axes, image in zip(axes_row, row, strict=True):
      show_image(axes, image, '')
  for axes, sigma in zip(grid[0], sigmas[shown], strict=True):
    axes.set_title(f'{sigma:.3g}')
  return figure


@own_style
def variance_ratios(ratios: np.ndarray, baseline: np.ndarray) -> Figure:
  """Curve of the variance ratio along each principal component.

  Args:
    ratios: Variance of generated over that of real patches, [D], by decreasing
      variance of the real patches.
    baseline: Variance of one half of the real patches over the other, [D].
  """
  figure = new_figure(7, 4)
  axes = figure.add_subplot()
  components = np.arange(1, len(ratios) + 1)
  axes.axhline(1, color='0.8')
  axes.plot(components, baseline, color='0.5', label='real / real')
  axes.plot(components, ratios, color='C0', label='generated / real')
  axes.set(
    title='Variance along the principal components of the real patches',
    xlabel='principal component, by decreasing variance',
    ylabel='ratio of variances',
    ylim=(0, max(2.0, 1.1 * float(np.max(ratios)))),
  )
  axes.grid(alpha=0.3)
  axes.legend()
  return figure


@own_style
def loss_curve(metrics: Sequence[Mapping[str, float]]) -> Figure:
  """Curves of the training loss and the learning rate over steps.

  Args:
    metrics: Lines of a run's log, with `step`, `loss` and `learning_rate`.
  """
  steps, loss, rates = (
    [line[name] for line in metrics]
    for name in ('step', 'loss', 'learning_rate')
  )
  figure = new_figure(7, 4)
  axes = figure.add_subplot()
  lines = axes.plot(steps, loss, color='C0', label='loss, mean of a call')
  axes.set(title='Training loss', xlabel='step', ylabel='loss')
  axes.grid(alpha=0.3)
  right = axes.twinx()
  lines += right.plot(
    steps, rates, color='C1', linestyle=':', label='learning rate (right)'
  )
  right.set_ylim(bottom=0)
  axes.legend(handles=lines, loc='upper right')
  return figure
