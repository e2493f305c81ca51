"""Figures that a person can read: titles, axes, real beside generated."""

import io
import os

import matplotlib.axes
import matplotlib.figure
import numpy as np

from internal_diffusion import files
from internal_diffusion.data import image_io


def write_figure(
  path: str | os.PathLike, figure: matplotlib.figure.Figure
) -> None:
  """Writes a figure as PNG, whole or not at all."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=120)
  files.write_atomically(path, buffer.getvalue())


def _show_image(
  axes: matplotlib.axes.Axes, image: np.ndarray, title: str
) -> None:
  axes.imshow(
    np.clip((image[..., 0] if image.shape[-1] == 1 else image) / 2 + 0.5, 0, 1),
    cmap='gray',
    vmin=0,
    vmax=1,
    interpolation='nearest',
  )
  axes.set_title(title)
  axes.set_axis_off()


def write_patch_comparison(
  path: str | os.PathLike,
  generated: np.ndarray,
  real: np.ndarray,
  *,
  title: str,
  num_columns: int = 16,
) -> None:
  """Generated patches beside as many real ones.

  Args:
    path: Of the PNG.
    generated: [N, P, P, C] in [-1, 1].
    real: [N, P, P, C] in [-1, 1].
    title: Of the figure.
    num_columns: Patches in a row.
  """
  figure = matplotlib.figure.Figure(figsize=(12, 6.6), layout='constrained')
  figure.suptitle(title)
  for axes, images, name in zip(
    figure.subplots(1, 2), (generated, real), ('generated', 'real'), strict=True
  ):
    grid = image_io.make_grid(images, num_columns=num_columns, zoom=4)
    _show_image(axes, grid, name)
  write_figure(path, figure)


def write_denoising_strip(
  path: str | os.PathLike, states: np.ndarray, sigmas: np.ndarray
) -> None:
  """A few patches from noise to clean, one a row, one noise level a column.

  States are divided by sqrt(1 + sigma^2), which keeps noise and signal in
  range.

  Args:
    path: Of the PNG.
    states: [N, T+1, P, P, C].
    sigmas: [T+1].
  """
  shown = np.unique(np.linspace(0, len(sigmas) - 1, 13).round().astype(int))
  scale = np.sqrt(1 + sigmas[shown] ** 2)[:, None, None, None]
  images = states[:, shown] / scale
  num_patches, num_columns = images.shape[:2]
  figure = matplotlib.figure.Figure(
    figsize=(num_columns, num_patches + 0.8), layout='constrained'
  )
  figure.suptitle('From noise to clean: state at each noise level sigma')
  for row, axes_row in enumerate(
    figure.subplots(num_patches, num_columns, squeeze=False)
  ):
    for column, axes in enumerate(axes_row):
      title = f'{sigmas[shown[column]]:.3g}' if row == 0 else ''
      _show_image(axes, images[row, column], title)
  write_figure(path, figure)


def write_variance_ratios(
  path: str | os.PathLike, ratios: np.ndarray, baseline: np.ndarray
) -> None:
  """Variance along each principal component, over that of the real patches.

  Args:
    path: Of the PNG.
    ratios: Of generated over real, [D], by decreasing variance.
    baseline: Of one half of the real patches over the other, [D].
  """
  figure = matplotlib.figure.Figure(figsize=(7, 4), layout='constrained')
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
  write_figure(path, figure)
