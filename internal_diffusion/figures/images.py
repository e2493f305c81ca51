"""Figures of images and of maps over them; images are [H, W, C] in [-1, 1]."""

from collections.abc import Mapping, Sequence

import matplotlib.axes
import matplotlib.image
import numpy as np

from internal_diffusion.figures.style import Figure, new_figure, own_style

_INCHES = 4.2  # Width of a panel.
_HEIGHTS = (1.2, 6.3)  # Bounds of its height, in inches.
_TITLE_INCHES = 0.4
BAR_INCHES = 0.9  # Width of a colour bar with its label.
_UNKNOWN = '0.5'  # Grey.


def show_image(
  axes: matplotlib.axes.Axes, image: np.ndarray, title: str
) -> None:
  """Shows an image [H, W, C] in [-1, 1] under a title, without ticks."""
  axes.imshow(
    np.clip((image[..., 0] if image.shape[-1] == 1 else image) / 2 + 0.5, 0, 1),
    cmap='gray',
    vmin=0,
    vmax=1,
    interpolation='nearest',
  )
  axes.set_title(title)
  axes.set_axis_off()


def show_map(
  axes: matplotlib.axes.Axes,
  values: np.ndarray,
  title: str,
  *,
  high: float,
  low: float = 0.0,
) -> matplotlib.image.AxesImage:
  """Shows a map [H, W] in colours from `low` to `high`; not finite is grey."""
  axes.set_title(title)
  axes.set(xticks=[], yticks=[], facecolor=_UNKNOWN)
  return axes.imshow(
    np.ma.masked_where(~np.isfinite(values), values),
    cmap='magma',
    vmin=low,
    vmax=high,
    interpolation='nearest',
  )


@own_style
def panels(
  size: tuple[int, ...],
  *,
  title: str,
  num_rows: int = 1,
  num_columns: int = 1,
  extra_width: float = 0.0,
  zoom: float = 1.0,
) -> Figure:
  """Empty figure with the size for a grid of images of one size.

  Args:
    size: Shape of the images, (H, W, ...).
    title: Title of the figure.
    num_rows: Number of rows of images.
    num_columns: Number of columns of images.
    extra_width: Width of what is beside the images, in inches.
    zoom: Magnification of the images.
  """
  height = np.clip(_INCHES * size[0] / size[1], *_HEIGHTS)
  return new_figure(
    num_columns * zoom * _INCHES + extra_width,
    num_rows * (zoom * float(height) + _TITLE_INCHES) + _TITLE_INCHES,
    title=title,
  )


@own_style
def heat_maps(
  maps: Mapping[str, np.ndarray],
  *,
  title: str,
  label: str,
  high: float | None = None,
  low: float = 0.0,
  image: np.ndarray | None = None,
) -> Figure:
  """Maps of an error or an uncertainty, in one row with one colour bar.

  Args:
    maps: Values by their titles, each [H, W] and at least 0; what is not finite
      is grey.
    title: Title of the figure.
    label: Quantity and unit of the values, beside the colour bar.
    high: End of the colour bar; by default one value in 200 lies above it.
    low: Begin of the colour bar, below its end.
    image: Image to the left of the maps, [H, W, C] in [-1, 1].

  Raises:
    ValueError: If there is no map, or a map has a wrong shape or a negative
      value.
  """
  if not maps:
    raise ValueError('`maps` must hold at least one map, got none.')
  for name, values in maps.items():
    if values.ndim != 2 or np.any(values < 0):
      raise ValueError(
        f'`maps` must be [H, W] and at least 0; `{name}` has shape'
        f' {values.shape} and the minimum {np.nanmin(values):g}.'
      )
  if high is None:
    high = max(map(upper_quantile, maps.values()))
  num_columns = len(maps) + (image is not None)
  figure = panels(
    next(iter(maps.values())).shape,
    title=title,
    num_columns=num_columns,
    extra_width=BAR_INCHES,
  )
  columns = list(figure.subplots(1, num_columns, squeeze=False)[0])
  if image is not None:
    show_image(columns.pop(0), image, 'image')
  for axes, (name, values) in zip(columns, maps.items(), strict=True):
    shown = show_map(axes, values, name, high=high or 1.0, low=low)
  figure.colorbar(shown, ax=columns, extend='max', label=label)
  return figure


def upper_quantile(values: np.ndarray) -> float:
  """Value that one finite value in 200 exceeds; 0 if none is finite."""
  finite = values[np.isfinite(values)]
  return float(np.quantile(finite, 0.995)) if finite.size else 0.0


def level_frames(levels: Sequence[np.ndarray]) -> list[np.ndarray]:
  """Images of several pyramid levels, enlarged to the size of the last one.

  Nearest neighbours keep the pixels of a coarse level visible.

  Args:
    levels: Images [H_l, W_l, C], the coarsest first.

  Returns:
    Images [H, W, C]: frames of an animation, or parts of a strip.
  """
  frames = []
  for image in levels:
    rows, columns = (
      np.arange(new) * old // new
      for new, old in zip(levels[-1].shape[:2], image.shape[:2], strict=True)
    )
    frames.append(np.asarray(image)[rows[:, None], columns[None]])
  return frames


def source_map(source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Image of where each generated pixel comes from, beside its colour key.

  A position in the source image has a colour: red grows to the right, green
  grows downwards.

  Args:
    source: Position (row, column) in the source image, [H, W, 2] integers.
    size: (height, width) of the source image.

  Returns:
    The colours of all positions, a white gap of 4 pixels, and the generated
    image in the colours of its sources, RGB in [-1, 1], [H', W', 3].
  """
  down, right = np.meshgrid(
    *(np.linspace(-1, 1, n) for n in size), indexing='ij'
  )
  key = np.stack([right, down, -(down + right) / 2], axis=-1)
  found = key[source[..., 0], source[..., 1]]
  height = max(len(key), len(found))
  key, found = (
    np.pad(part, ((0, height - len(part)), (0, 0), (0, 0)), constant_values=1.0)
    for part in (key, found)
  )
  return np.concatenate([key, np.ones((height, 4, 3)), found], axis=1)


def back_and_forth(frames: np.ndarray) -> np.ndarray:
  """Frames [T, ...] of an animation that runs forward, then back, in a loop."""
  return np.concatenate([frames, frames[-2:0:-1]])
