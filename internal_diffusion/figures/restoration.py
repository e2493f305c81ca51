"""Figures of a restored picture: before, after, and how sure it is.

Images are [H, W, C] in [-1, 1], grey or RGB without alpha.
"""

import matplotlib.patches
import numpy as np
from scipy import ndimage

from internal_diffusion.figures.images import (
  BAR_INCHES,
  panels,
  show_image,
  show_map,
  upper_quantile,
)
from internal_diffusion.figures.style import Figure, own_style

_ZOOM = 4  # Of the crop.
_MIN_CROP = 24  # Pixels.
_GREY_LEVELS = 127.5  # Of 255, in a difference of one.


@own_style
def restoration_figure(
  before: np.ndarray,
  mean: np.ndarray,
  std: np.ndarray,
  *,
  sample: np.ndarray | None = None,
  title: str = 'Restored picture',
) -> Figure:
  """Before, after and uncertainty; whole above, and a detail of each below.

  The detail is where the restored picture has most structure.

  Args:
    before: Damaged picture, [H, W, C].
    mean: Restored picture, [H, W, C].
    std: Standard deviation of its error, [H, W, C].
    sample: A sample, [H, W, C], or None.
    title: Title of the figure.
  """
  error = _GREY_LEVELS * std.mean(axis=-1)
  shown = {'before': before, 'mean': mean}
  if sample is not None:
    shown['a sample'] = sample
  num_columns = len(shown) + 1
  figure = panels(
    mean.shape,
    title=title,
    num_rows=2,
    num_columns=num_columns,
    extra_width=BAR_INCHES,
    zoom=0.8,
  )
  rows, columns = detail_of(mean)
  axes = figure.subplots(2, num_columns, squeeze=False)
  for index, (name, image) in enumerate(shown.items()):
    show_image(axes[0, index], image, name)
    show_image(axes[1, index], image[rows, columns], '')
    axes[0, index].add_patch(_frame(rows, columns))
  high = upper_quantile(error) or 1.0
  name = 'standard deviation'
  colours = show_map(axes[0, -1], error, name, high=high)
  show_map(axes[1, -1], error[rows, columns], '', high=high)
  axes[0, -1].add_patch(_frame(rows, columns))
  figure.colorbar(
    colours,
    ax=list(axes[:, -1]),
    extend='max',
    label='standard deviation, grey levels of 255',
  )
  return figure


def detail_of(image: np.ndarray) -> tuple[slice, slice]:
  """Rows and columns of a window with much structure, a quarter of each side.

  Args:
    image: Image, [H, W, C].
  """
  grey = np.asarray(image, np.float32).mean(axis=-1)
  gradient = np.hypot(*(ndimage.sobel(grey, axis=axis) for axis in (0, 1)))
  sides = [min(n, max(_MIN_CROP, n // _ZOOM)) for n in grey.shape]
  # The mean over the window around each pixel, and the best window inside.
  mean = ndimage.uniform_filter(gradient, sides, mode='nearest')
  margins = [side // 2 for side in sides]
  inside = mean[
    tuple(
      slice(margin, margin + n - side + 1)
      for margin, n, side in zip(margins, grey.shape, sides, strict=True)
    )
  ]
  top, left = np.unravel_index(np.argmax(inside), inside.shape)
  return (
    slice(int(top), int(top) + sides[0]),
    slice(int(left), int(left) + sides[1]),
  )


def _frame(rows: slice, columns: slice) -> matplotlib.patches.Rectangle:
  """Frame of the detail in the whole picture."""
  return matplotlib.patches.Rectangle(
    (columns.start - 0.5, rows.start - 0.5),
    columns.stop - columns.start,
    rows.stop - rows.start,
    fill=False,
    edgecolor='deepskyblue',
  )
