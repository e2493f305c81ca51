"""Figures of optical flow: the flow, its uncertainty and its warping error.

A flow is (u, v), [H, W, 2], in pixels, u to the right and v down. As a colour,
its direction is the hue (red to the right, then yellow, green and cyan
clockwise as angles from x to y grow) and its length over a stated maximum is
the saturation: zero flow is white. Vectors beyond the maximum are darkened,
unknown ones are grey.
"""

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.axes
import matplotlib.collections
import matplotlib.colors
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.figures.images import (
  BAR_INCHES,
  panels,
  show_image,
  show_map,
  upper_quantile,
)
from internal_diffusion.figures.style import Figure, new_figure, own_style

_BEYOND = 0.7  # Brightness of vectors beyond the maximum.
_UNKNOWN = 0.5  # Brightness of unknown vectors.
_WHEEL_INCHES = 1.6
_COLUMNS = 4  # Densities in a row.
_DENSITY_INCHES = 3.2


def flow_colours(
  flow: np.ndarray, *, max_length: float, valid: np.ndarray | None = None
) -> np.ndarray:
  """Image of a flow, in the colours of the module's docstring.

  Args:
    flow: Flow (u, v) in pixels, [H, W, 2].
    max_length: Length of full saturation, in pixels.
    valid: Mask of known flow, [H, W]; by default where the flow is finite.

  Returns:
    RGB in [-1, 1], float32 [H, W, 3].
  """
  arrays.check_in_range('max_length', max_length, 0, np.inf, open_low=True)
  known = np.all(np.isfinite(flow), axis=-1)
  if valid is not None:
    known &= valid
  u, v = np.moveaxis(np.where(known[..., None], flow, 0), -1, 0)
  length = np.hypot(u, v) / max_length
  hue = np.arctan2(v, u) / (2 * np.pi) % 1
  value = np.where(length > 1, _BEYOND, 1)
  hsv = np.stack([hue, np.minimum(length, 1), value], axis=-1)
  rgb = matplotlib.colors.hsv_to_rgb(hsv)
  rgb = np.where(known[..., None], rgb, _UNKNOWN)
  return (2 * rgb - 1).astype(np.float32)


@own_style
def flow_figure(
  flows: Mapping[str, np.ndarray],
  *,
  title: str,
  image: np.ndarray | None = None,
  valid: np.ndarray | None = None,
  max_length: float | None = None,
) -> Figure:
  """Flows side by side in the same colours, with the colour wheel.

  Args:
    flows: Flows by their titles, each [H, W, 2].
    title: Title of the figure.
    image: First frame, to the left of the flows, [H, W, C] in [-1, 1].
    valid: Mask of known flow, [H, W]; by default where a flow is finite.
    max_length: Length of full saturation, in pixels; by default one vector in
      200 of the last flow (the truth comes last) is longer.

  Raises:
    ValueError: If there is no flow.
  """
  if not flows:
    raise ValueError('`flows` must hold at least one flow, got none.')
  last = list(flows.values())[-1]
  if max_length is None:
    lengths = np.linalg.norm(last, axis=-1)
    max_length = upper_quantile(lengths if valid is None else lengths[valid])
    max_length = max_length or 1.0
  images = {} if image is None else {'first frame': image}
  images |= {
    name: flow_colours(flow, max_length=max_length, valid=valid)
    for name, flow in flows.items()
  }
  figure = panels(
    last.shape, title=title, num_columns=len(images), extra_width=_WHEEL_INCHES
  )
  inches = (figure.get_figwidth() - _WHEEL_INCHES) / len(images)
  widths = [inches] * len(images) + [_WHEEL_INCHES]
  row = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
  for axes, (name, shown) in zip(row, images.items(), strict=False):
    show_image(axes, shown, name)
  _draw_wheel(row[-1], max_length)
  return figure


@own_style
def ellipses(
  image: np.ndarray,
  points: np.ndarray,
  covariances: np.ndarray,
  *,
  title: str,
  magnification: float = 1.0,
) -> Figure:
  """Covariances as ellipses of two standard deviations over a frame.

  Args:
    image: First frame, [H, W, C] in [-1, 1].
    points: Pixels (x, y), [N, 2].
    covariances: Covariances of (u, v) at these pixels, [N, 2, 2].
    title: Title of the figure.
    magnification: Factor of the lengths of the ellipses.

  Raises:
    ValueError: If there is not one covariance for each point.
  """
  if np.shape(covariances) != (len(points), 2, 2):
    raise ValueError(
      f'`covariances` must be [{len(points)}, 2, 2], one for each of `points`,'
      f' got shape {np.shape(covariances)}.'
    )
  note = 'ellipses of two standard deviations'
  if magnification != 1:
    note += f', drawn {magnification:g} times as large'
  figure = panels(image.shape, title=title, zoom=2)
  axes = figure.add_subplot()
  show_image(axes, 0.6 * image + 0.4, note)  # Pale, so that lines stand out.
  axes.autoscale(False)
  axes.plot(*np.transpose(points), 'o', color='black', markersize=2)
  variances, directions = np.linalg.eigh(covariances)
  minor, major = 4 * magnification * np.sqrt(np.maximum(variances, 0)).T
  axes.add_collection(
    matplotlib.collections.EllipseCollection(
      major,
      minor,
      np.degrees(np.arctan2(directions[:, 1, 1], directions[:, 0, 1])),
      units='xy',
      offsets=points,
      offset_transform=axes.transData,
      edgecolors='C3',
      facecolors=('C3', 0.25),
      linewidths=1.2,
    )
  )
  return figure


@own_style
def warp_check(
  first: np.ndarray,
  second: np.ndarray,
  warped: np.ndarray,
  *,
  title: str,
  inside: np.ndarray | None = None,
) -> Figure:
  """First frame, warped second frame, and their differences in grey levels.

  Args:
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, [H, W, C].
    warped: Second frame warped to the first by the flow, [H, W, C].
    title: Title of the figure.
    inside: Mask of pixels whose flow ends inside the second frame, [H, W];
      other pixels are grey. By default all.
  """
  if inside is None:
    inside = np.ones(first.shape[:2], bool)
  figure = panels(
    first.shape, title=title, num_rows=2, num_columns=2, extra_width=BAR_INCHES
  )
  top, bottom = figure.subplots(2, 2)
  show_image(top[0], first, 'first frame')
  show_image(
    top[1], np.where(inside[..., None], warped, 0), 'second frame, warped'
  )
  before, after = (
    np.where(
      inside, 127.5 * np.sqrt(np.mean((other - first) ** 2, axis=-1)), np.nan
    )
    for other in (second, warped)
  )
  # One scale for both differences, so that they can be compared.
  high = max(upper_quantile(before), 1.0)
  for axes, errors, name in (
    (bottom[0], before, 'difference without flow'),
    (bottom[1], after, 'difference after warping'),
  ):
    rms = np.sqrt(np.mean(errors[inside] ** 2)) if inside.any() else np.nan
    shown = show_map(axes, errors, f'{name}, RMS {rms:.1f}', high=high)
  figure.colorbar(
    shown, ax=list(bottom), label='grey levels of 255', extend='max'
  )
  return figure


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
    num_columns * _DENSITY_INCHES, num_rows * _DENSITY_INCHES + 0.4, title=title
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


def _draw_wheel(axes: matplotlib.axes.Axes, max_length: float) -> None:
  """Draws the colours of all vectors up to the maximum, on white."""
  side = np.linspace(-1, 1, 401)
  vectors = np.stack(np.meshgrid(side, side), axis=-1)
  wheel = flow_colours(vectors, max_length=1)
  wheel[np.linalg.norm(vectors, axis=-1) > 1] = 1
  show_image(axes, wheel, f'radius {max_length:.3g} px')
  axes.text(
    0.5,
    -0.08,
    'dark: longer\ngrey: unknown',
    transform=axes.transAxes,
    horizontalalignment='center',
    verticalalignment='top',
    fontsize=8,
  )
