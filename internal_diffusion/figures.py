"""Figures that a person can read: titles, axes, real beside generated."""

import io
import os
from collections.abc import Mapping

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


def show_image(
  axes: matplotlib.axes.Axes, image: np.ndarray, title: str
) -> None:
  """Shows a picture [H, W, C] in [-1, 1] under a title, without axes."""
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
    show_image(axes, grid, name)
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
      show_image(axes, images[row, column], title)
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


def write_heat_maps(
  path: str | os.PathLike,
  maps: Mapping[str, np.ndarray],
  *,
  title: str,
  image: np.ndarray | None = None,
) -> None:
  """Maps of an error or an uncertainty, in one row on one scale.

  The colour bar counts grey levels of 8 bits, of which there are 255 from -1 to
  1. It begins at 0 and ends where one value in 200 lies above.

  Args:
    path: Of the PNG.
    maps: By their names, each [H, W] in units of the image, at least 0.
    title: Of the figure.
    image: Shown to the left of the maps, [H, W, C] in [-1, 1].

  Raises:
    ValueError: If there is no map or one is not as said above.
  """
  if not maps:
    raise ValueError('`maps` must hold at least one map, got none.')
  for name, values in maps.items():
    if values.ndim != 2 or not np.all(values >= 0):  # NaN fails as well.
      raise ValueError(
        f'`maps` must be [H, W] and at least 0; `{name}` has shape'
        f' {values.shape} and the minimum {np.min(values):g}.'
      )
  levels = {name: 127.5 * values for name, values in maps.items()}
  highest = max(float(np.quantile(m, 0.995)) for m in levels.values())
  num_columns = len(maps) + (image is not None)
  figure = matplotlib.figure.Figure(
    figsize=(4 * num_columns + 0.8, 4.4), layout='constrained'
  )
  figure.suptitle(title)
  columns = list(figure.subplots(1, num_columns, squeeze=False)[0])
  if image is not None:
    show_image(columns.pop(0), image, 'image')
  for axes, (name, values) in zip(columns, levels.items(), strict=True):
    shown = axes.imshow(
      values, 'magma', vmin=0, vmax=highest or 1, interpolation='nearest'
    )
    axes.set_title(name)
    axes.set_axis_off()
  figure.colorbar(
    shown, ax=columns, extend='max', shrink=0.8, label='grey levels of 255'
  )
  write_figure(path, figure)
