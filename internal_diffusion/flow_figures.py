"""Figures of optical flow: what moved where, how sure that is, if it fits.

A flow is (u, v), [H, W, 2], in pixels, u to the right and v down. As a colour,
its direction is the hue (red to the right, then yellow, green and cyan
clockwise as angles from x to y grow) and its length over a stated maximum is
the saturation: white stands still. Longer vectors are darkened, unknown ones
are grey.
"""

import os
from collections.abc import Mapping

import matplotlib.axes
import matplotlib.colors
import matplotlib.figure
import matplotlib.patches
import numpy as np

from internal_diffusion import arrays, figures
from internal_diffusion.data import image_io

_PathLike = str | os.PathLike[str]

_BEYOND = 0.7  # Brightness of what is longer than the maximum.
_GREY = 0.5
_INCHES = 4.2  # Width of a picture in a figure.
_WHEEL_INCHES = 1.6
_BAR_INCHES = 0.9  # Of a scale of colours with its label.
_RED = matplotlib.colors.to_rgb('C3')


def flow_colours(
  flow: np.ndarray, *, max_length: float, valid: np.ndarray | None = None
) -> np.ndarray:
  """A flow as a picture, in the colours of the module's docstring.

  Args:
    flow: (u, v), [H, W, 2].
    max_length: The length, in pixels, of full saturation.
    valid: Where the flow is known, [H, W]; None is where it is finite.

  Returns:
    RGB in [-1, 1], float32 [H, W, 3].
  """
  arrays.check_in_range('max_length', max_length, 0, np.inf, open_low=True)
  known = _known(flow, valid)
  u, v = np.moveaxis(np.where(known[..., None], flow, 0), -1, 0)
  length = np.hypot(u, v) / max_length
  hue = np.arctan2(v, u) / (2 * np.pi) % 1
  value = np.where(length > 1, _BEYOND, 1)
  hsv = np.stack([hue, np.minimum(length, 1), value], axis=-1)
  rgb = matplotlib.colors.hsv_to_rgb(hsv)
  rgb = np.where(known[..., None], rgb, _GREY)
  return (2 * rgb - 1).astype(np.float32)


def write_flows(
  path: _PathLike,
  flows: Mapping[str, np.ndarray],
  *,
  title: str,
  image: np.ndarray | None = None,
  valid: np.ndarray | None = None,
  max_length: float | None = None,
) -> None:
  """Flows side by side in one scale of colours, with the wheel beside them.

  Args:
    path: Of the PNG.
    flows: By what is written above each, [H, W, 2].
    title: Of the figure.
    image: A frame to show before them, [H, W, C] in [-1, 1].
    valid: Where the flows are known, [H, W]; None is where they are finite.
    max_length: The length of full saturation, in pixels; None is the longest
      but for a hundredth of the vectors, of the last of the flows (the truth
      comes last).
  """
  if not flows:
    raise ValueError('`flows` must hold a flow, got none.')
  last = list(flows.values())[-1]
  if max_length is None:
    lengths = np.linalg.norm(last[_known(last, valid)], axis=-1)
    longest = float(np.quantile(lengths, 0.99)) if lengths.size else 0.0
    max_length = longest or 1.0
  pictures = {} if image is None else {'first frame': image}
  pictures |= {
    name: flow_colours(flow, max_length=max_length, valid=valid)
    for name, flow in flows.items()
  }
  figure, all_axes = _pictures_figure(
    last.shape, (1, len(pictures)), has_wheel=True
  )
  figure.suptitle(title)
  for axes, (name, picture) in zip(all_axes, pictures.items(), strict=False):
    figures.show_image(axes, picture, name)
  _draw_wheel(all_axes[-1], max_length)
  figures.write_figure(path, figure)


def write_map(
  path: _PathLike,
  values: np.ndarray,
  *,
  title: str,
  label: str,
  high: float | None = None,
  image: np.ndarray | None = None,
) -> None:
  """A map of one non-negative number a pixel, such as confidence, with a scale.

  Args:
    path: Of the PNG.
    values: [H, W]; what is not finite is grey.
    title: Of the figure.
    label: What the numbers are and their unit, beside the scale.
    high: The end of the scale, which begins at 0; None is the largest value but
      for a hundredth.
    image: A frame to show before it, [H, W, C] in [-1, 1].
  """
  finite = np.isfinite(values)
  if high is None:
    high = float(np.quantile(values[finite], 0.99)) if finite.any() else 1.0
  grid = (1, 1 if image is None else 2)
  figure, all_axes = _pictures_figure(values.shape, grid, room=_BAR_INCHES)
  figure.suptitle(title)
  if image is not None:
    figures.show_image(all_axes[0], image, 'first frame')
  axes = all_axes[-1]
  axes.set_facecolor(str(_GREY))
  axes.set(xticks=[], yticks=[])
  shown = axes.imshow(
    np.ma.masked_where(~finite, values),
    cmap='viridis',
    vmin=0,
    vmax=high or 1.0,
    interpolation='nearest',
  )
  figure.colorbar(shown, ax=axes, label=label, extend='max')
  figures.write_figure(path, figure)


def write_ellipses(
  path: _PathLike,
  image: np.ndarray,
  points: np.ndarray,
  covariances: np.ndarray,
  *,
  title: str,
  flow: np.ndarray | None = None,
  magnification: float = 1.0,
) -> None:
  """Uncertainty as ellipses of two standard deviations over a frame.

  Args:
    path: Of the PNG.
    image: The frame, [H, W, C] in [-1, 1].
    points: (x, y) of the pixels to show, [N, 2].
    covariances: Of (u, v) there, in pixels squared, [N, 2, 2].
    title: Of the figure.
    flow: (u, v) there, [N, 2], drawn as a line to where the ellipse lies; None
      leaves the ellipses on their pixels.
    magnification: How often the vectors and the ellipses are enlarged.
  """
  if np.shape(covariances) != (len(points), 2, 2):
    raise ValueError(
      f'`covariances` must be [{len(points)}, 2, 2], one for each of `points`,'
      f' got shape {np.shape(covariances)}.'
    )
  figure, (axes,) = _pictures_figure(image.shape, (1, 1), zoom=2)
  figure.suptitle(title)
  note = 'ellipses of two standard deviations'
  if magnification != 1:
    note += f', drawn {magnification:g} times as large'
  # Paled, so that the lines stand out.
  figures.show_image(axes, 0.6 * image + 0.4, note)
  axes.autoscale(False)
  if flow is None:
    flow = np.zeros_like(points, float)
  variances, directions = np.linalg.eigh(covariances)
  axis_lengths = 4 * magnification * np.sqrt(np.maximum(variances, 0))
  for point, vector, (minor, major), direction in zip(
    points, magnification * flow, axis_lengths, directions, strict=True
  ):
    tip = point + vector
    axes.plot(*np.stack([point, tip], axis=1), color='black', linewidth=1)
    axes.plot(*point, 'o', color='black', markersize=2)
    angle = np.degrees(np.arctan2(direction[1, 1], direction[0, 1]))
    style = {'edgecolor': 'C3', 'facecolor': (*_RED, 0.25), 'linewidth': 1.2}
    axes.add_patch(
      matplotlib.patches.Ellipse(tip, major, minor, angle=angle, **style)
    )
  figures.write_figure(path, figure)


def write_warp_check(
  path: _PathLike,
  first: np.ndarray,
  second: np.ndarray,
  warped: np.ndarray,
  *,
  inside: np.ndarray | None = None,
  title: str,
) -> None:
  """Does the second frame, looked up along the flow, give the first?

  Args:
    path: Of the PNG.
    first: The first frame, [H, W, C] in [-1, 1].
    second: The second, [H, W, C].
    warped: The second warped to the first, [H, W, C].
    inside: Which pixels were looked up inside, [H, W]; others are left grey.
    title: Of the figure.
  """
  if inside is None:
    inside = np.ones(first.shape[:2], bool)
  figure, all_axes = _pictures_figure(first.shape, (2, 2), room=_BAR_INCHES)
  figure.suptitle(title)
  before, after = (
    127.5 * np.sqrt(np.mean((other - first) ** 2, axis=-1))
    for other in (second, warped)
  )
  shown = np.where(inside[..., None], warped, 0)
  figures.show_image(all_axes[0], first, 'first frame')
  figures.show_image(all_axes[1], shown, 'second frame, warped')
  # One scale for both differences, so that they can be compared.
  high = max(float(np.quantile(before[inside], 0.99)), 1.0)
  for axes, errors, name in (
    (all_axes[2], before, 'difference without flow'),
    (all_axes[3], after, 'difference after warping'),
  ):
    rms = np.sqrt(np.mean(errors[inside] ** 2))
    axes.set_title(f'{name}, RMS {rms:.1f}')
    axes.set(xticks=[], yticks=[], facecolor=str(_GREY))
    scale = axes.imshow(
      np.ma.masked_where(~inside, errors),
      cmap='magma',
      vmin=0,
      vmax=high,
      interpolation='nearest',
    )
  figure.colorbar(
    scale, ax=all_axes[2:], label='grey levels of 8 bits', extend='max'
  )
  figures.write_figure(path, figure)


def write_motion(
  path: _PathLike, frames: np.ndarray, *, seconds: float = 0.08
) -> None:
  """A GIF that goes through frames [T, H, W, C] and back, without end.

  Args:
    path: Of the GIF.
    frames: Such as `warp.frames_between` gives, in [-1, 1].
    seconds: How long each is shown.
  """
  there_and_back = np.concatenate([frames, frames[-2:0:-1]])
  image_io.write_animation(path, list(there_and_back), seconds=seconds)


def _known(flow: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
  known = np.all(np.isfinite(flow), axis=-1)
  return known if valid is None else known & valid


def _pictures_figure(
  shape: tuple[int, ...],
  grid: tuple[int, int],
  *,
  has_wheel: bool = False,
  room: float = 0.0,
  zoom: float = 1.0,
) -> tuple[matplotlib.figure.Figure, list[matplotlib.axes.Axes]]:
  """A figure with axes for a grid of pictures of one shape.

  Args:
    shape: Of the pictures, (H, W, ...).
    grid: Number of rows and columns.
    has_wheel: Whether the last axes are for the wheel of colours.
    room: Of a scale of colours, in inches.
    zoom: Of the pictures.

  Returns:
    The figure and its axes, row by row.
  """
  num_rows, num_columns = grid
  width = zoom * _INCHES
  widths = [width] * num_columns + [_WHEEL_INCHES] * has_wheel
  height = num_rows * (width * shape[0] / shape[1] + 0.3) + 0.4
  figure = matplotlib.figure.Figure(
    figsize=(sum(widths) + room, height), layout='constrained'
  )
  all_axes = figure.subplots(
    num_rows, len(widths), squeeze=False, width_ratios=widths
  )
  return figure, list(all_axes.flat)


def _draw_wheel(axes: matplotlib.axes.Axes, max_length: float) -> None:
  """The colours of all vectors up to the maximum, on white."""
  side = np.linspace(-1, 1, 401)
  vectors = np.stack(np.meshgrid(side, side), axis=-1)
  wheel = flow_colours(vectors, max_length=1)
  wheel[np.linalg.norm(vectors, axis=-1) > 1] = 1
  figures.show_image(axes, wheel, f'radius {max_length:.3g} px')
  axes.text(
    0.5,
    -0.08,
    'dark: longer\ngrey: unknown',
    transform=axes.transAxes,
    horizontalalignment='center',
    verticalalignment='top',
    fontsize=8,
  )
