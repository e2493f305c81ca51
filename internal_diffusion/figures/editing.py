"""Figures of an edited picture: what was given, the answers, where they differ.

Images are [H, W, C] in [-1, 1], grey or RGB without alpha, of any sizes.
"""

from collections.abc import Sequence

import numpy as np

from internal_diffusion.figures.images import (
  BAR_INCHES,
  panels,
  show_image,
  show_map,
  upper_quantile,
)
from internal_diffusion.figures.style import Figure, own_style

_MOST_ANSWERS = 4
_GREY_LEVELS = 127.5  # Of 255, in a difference of one.


@own_style
def editing_figure(
  image: np.ndarray,
  samples: Sequence[np.ndarray],
  std: np.ndarray,
  *,
  mask: np.ndarray | None = None,
  guide: np.ndarray | None = None,
  title: str = 'Edited picture',
) -> Figure:
  """The input, what was given with it, answers, and where they differ.

  Args:
    image: The input, [H, W, C]; the border of the mask is drawn on it.
    samples: Answers, each [H, W, C]; evenly spaced ones where there are many.
    std: Standard deviation between the answers, [H, W, C].
    mask: True at what changes, [H, W].
    guide: Painting, reference or background, [h, w, C].
    title: Title of the figure.
  """
  given = {'input': image}
  if guide is not None:
    given['guide'] = guide
  num_shown = min(_MOST_ANSWERS, len(samples))
  indices = np.unique(np.linspace(0, len(samples) - 1, num_shown).astype(int))
  difference = _GREY_LEVELS * std.mean(axis=-1)
  num_columns = len(given) + len(indices) + (len(samples) > 1)
  figure = panels(
    samples[0].shape,
    title=title,
    num_columns=num_columns,
    extra_width=BAR_INCHES,
    zoom=0.8,
  )
  axes = figure.subplots(1, num_columns, squeeze=False)[0]
  answers = {f'answer {index}': samples[index] for index in indices}
  for own, (name, picture) in zip(
    axes, {**given, **answers}.items(), strict=False
  ):
    show_image(own, picture, name)
  if mask is not None and mask.any() and not mask.all():
    axes[0].contour(mask, levels=[0.5], colors='deepskyblue', linewidths=1)
  if len(samples) > 1:
    high = upper_quantile(difference) or 1.0
    shown = show_map(axes[-1], difference, 'difference', high=high)
    figure.colorbar(
      shown,
      ax=axes[-1],
      extend='max',
      label='standard deviation, grey levels of 255',
    )
  return figure
