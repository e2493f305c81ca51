"""The mode of a pair's posterior: a start, its refinement, and a second start.

Gauss-Newton steps end at the mode nearest to their start. Where a start was
wrong, at a corner for example, the frames do not agree once they are moved
together. There the field is continued from its surroundings, and refined again.
The second field is kept if the frames then agree better.
"""

import numpy as np
import scipy.ndimage

from internal_diffusion.applications.measurement import correlation, refine
from internal_diffusion.applications.measurement.agreement import (
  local_correlation,
)
from internal_diffusion.applications.measurement.frames import FramePair
from internal_diffusion.applications.measurement.smooth_field import SplineGrid

_DOUBTFUL = 0.75  # Correlation over the median that tells of a wrong field.
_AROUND = 12  # Pixels around these whose field is not believed either.
_WINDOW = 24.0  # Side of the windows that are continued, in pixels.


def find_mode(
  rng: np.random.Generator,
  pair: FramePair,
  grid: SplineGrid,
  windows: np.ndarray,
) -> refine.Refined:
  """The mode of the posterior of a pair; for the arguments see `refine`."""
  found = refine.refine(
    rng, pair, grid, correlation.find_start(pair, grid), windows
  )
  alike = local_correlation(pair, found)
  doubtful = _doubtful(found, alike)
  start = _continued(found, doubtful)
  if start is None:
    return found
  again = refine.refine(rng, pair, grid, start, windows)
  alike_again = local_correlation(pair, again)
  is_better = alike_again[doubtful].mean() > alike[doubtful].mean()
  return again if is_better else found


def _doubtful(found: refine.Refined, alike: np.ndarray) -> np.ndarray:
  """Mask of points whose frames agree much less than others, [H, W]."""
  seen = found.residuals.visible
  if not seen.any():
    return seen
  return seen & (alike < _DOUBTFUL * np.median(alike[seen]))


def _continued(
  found: refine.Refined, doubtful: np.ndarray
) -> np.ndarray | None:
  """Coefficients of the field continued into doubtful points [H, W].

  None if no point is doubtful, or all are.
  """
  around = scipy.ndimage.binary_dilation(doubtful, iterations=_AROUND)
  believed = found.residuals.visible & ~around
  if not doubtful.any() or not believed.any():
    return None
  weight = believed.astype(np.float64)
  return found.grid.fit(weight * found.field, weight, window=_WINDOW)
