"""Figures: functions that return matplotlib figures, and how to write them.

A figure has the library's own style, whatever a person's matplotlib settings:

  figures.write_figure('out/loss.png', figures.loss_curve(metrics))

A command writes its numbers first, then its figures by `write_or_warn`, so that
a figure that cannot be drawn never loses a result.
"""

# First: it decides how matplotlib is imported.
from internal_diffusion.figures.style import (
  Axes,
  Figure,
  new_figure,
  own_style,
  write_figure,
  write_or_warn,
)

# isort: split
from internal_diffusion.figures.editing import editing_figure
from internal_diffusion.figures.flow import (
  Density,
  densities,
  ellipses,
  flow_colours,
  flow_figure,
  warp_check,
)
from internal_diffusion.figures.images import (
  back_and_forth,
  heat_maps,
  level_frames,
  show_image,
  source_map,
)
from internal_diffusion.figures.patches import (
  denoising_strip,
  loss_curve,
  named_patches,
  patch_comparison,
  variance_ratios,
)
from internal_diffusion.figures.restoration import restoration_figure
from internal_diffusion.figures.vectors import (
  reliability_figure,
  residual_figure,
  vector_figure,
)

__all__ = [
  'Axes',
  'Density',
  'Figure',
  'back_and_forth',
  'denoising_strip',
  'densities',
  'editing_figure',
  'ellipses',
  'flow_colours',
  'flow_figure',
  'heat_maps',
  'level_frames',
  'loss_curve',
  'named_patches',
  'new_figure',
  'own_style',
  'patch_comparison',
  'reliability_figure',
  'residual_figure',
  'restoration_figure',
  'show_image',
  'source_map',
  'variance_ratios',
  'vector_figure',
  'warp_check',
  'write_figure',
  'write_or_warn',
]
