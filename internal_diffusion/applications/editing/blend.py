"""The hole's pixels from the gradients of their sources, without seams.

The picture u in the hole minimises

  sum_pq w_pq |u(q) - u(p) - g_pq|^2 + a sum_p |u(p) - I(s_p)|^2

over neighbouring pixels (Perez et al. 2003, with screening), where g_pq is the
mean of the differences that the sources of p and of q have there, and u is the
picture at known pixels. So a seam becomes a slope that is too slight to see.

Where copies differ much, as where an edge of the picture meets the hole's
border, a slope would spread the edge's colours. There the weight is low:
w_pq = 1 / (1 + (r_pq / r)^2) with r_pq the difference that the copies leave.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from internal_diffusion.applications.editing.fill_levels import FillLevel

_SCREENING = 0.01  # Weight a.
_EDGE = 1.0  # Difference r, in units of the values.


def blend(level: FillLevel, sources: np.ndarray) -> np.ndarray:
  """The picture [H, W, C] of a fill.

  Args:
    level: Finest level of the pyramid.
    sources: Position of the source of each pixel, [H * W].
  """
  image = np.asarray(level.image, np.float64)
  flat = image.reshape(-1, image.shape[-1])
  known = np.asarray(level.known).ravel() > 0
  inside = np.asarray(level.weight).ravel() > 0
  hole = np.flatnonzero(inside & ~known)
  number = np.zeros(len(flat), np.int64)
  number[hole] = np.arange(len(hole))
  copy = flat[sources]
  right = _SCREENING * copy[hole]
  diagonal = np.full(len(hole), _SCREENING)
  entries = []
  width = image.shape[1]
  for step in (1, -1, width, -width):
    there = hole + step
    slope, leap = _slopes(flat, known, sources, hole, step)
    weight = inside[there] / (1 + (leap / _EDGE) ** 2)
    diagonal += weight
    right -= weight[:, None] * slope
    fixed = weight * known[there]
    right += fixed[:, None] * flat[there]
    is_free = inside[there] & ~known[there]
    entries.append(
      (number[hole[is_free]], number[there[is_free]], -weight[is_free])
    )
  rows, columns, values = (
    np.concatenate(part) for part in zip(*entries, strict=True)
  )
  matrix = sparse.coo_array(
    (values, (rows, columns)), shape=(len(hole), len(hole))
  )
  matrix = (matrix + sparse.diags_array(diagonal)).tocsc()
  blended = image.reshape(flat.shape).copy()
  blended[hole] = linalg.splu(matrix).solve(right)
  return blended.reshape(image.shape).astype(np.float32)


def _slopes(
  flat: np.ndarray,
  known: np.ndarray,
  sources: np.ndarray,
  here: np.ndarray,
  step: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Differences u(p + step) - u(p) by the sources, and how copies differ.

  Args:
    flat: Picture, [H * W, C].
    known: Whether pixels are known, [H * W].
    sources: Sources of all pixels, [H * W].
    here: The pixels p, [N].
    step: Step to their neighbours.

  Returns:
    Differences [N, C]; root mean square over the channels of the difference
    between the copies at the seam, [N].
  """
  there = here + step
  copy, other = flat[sources[here]], flat[sources[there]]
  ahead = np.clip(sources[here] + step, 0, len(flat) - 1)
  behind = np.clip(sources[there] - step, 0, len(flat) - 1)
  by_here = np.where(known[ahead][:, None], flat[ahead] - copy, 0)
  # A known neighbour has no copy here, so it says nothing of the slope.
  says = known[behind] & ~known[there]
  by_there = np.where(says[:, None], other - flat[behind], 0)
  count = known[ahead].astype(np.float64) + says
  slope = (by_here + by_there) / np.maximum(count, 1)[:, None]
  leap = np.sqrt(np.mean((other - copy - slope) ** 2, axis=1))
  return slope, leap
