"""The hole's pixels from the gradients of their sources, without seams.

The picture u in the hole minimises

  sum_pq |u(q) - u(p) - g_pq|^2 + a sum_p |u(p) - I(s_p)|^2

over neighbouring pixels (Perez et al. 2003, with screening), where g_pq is the
mean of the differences that the sources of p and of q have there, and u is the
picture at known pixels. A seam between copies, or between a copy and the known
picture, becomes a slope that is too slight to see.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

_SCREENING = 1e-3  # Weight a.


def blend(image, known, inside, sources, screening=_SCREENING):
  height, width = known.shape
  flat = image.reshape(height * width, -1).astype(np.float64)
  known, inside = known.ravel() > 0, inside.ravel() > 0
  hole = np.flatnonzero(inside & ~known)
  number = np.full(height * width, -1)
  number[hole] = np.arange(len(hole))
  num = len(hole)
  copy = flat[sources[hole]]
  right = screening * copy
  diagonal = np.full(num, screening)
  rows, columns = [], []
  for step in (1, -1, width, -width):
    there = hole + step
    is_pair = inside[there]
    ahead = np.clip(sources[hole] + step, 0, len(flat) - 1)
    behind = np.clip(sources[there] - step, 0, len(flat) - 1)
    # Difference u(there) - u(here) by the source of here, and of there.
    by_here = flat[ahead] - copy
    by_there = flat[sources[there]] - flat[behind]
    has_here = known[ahead][:, None] * 1.0
    has_there = (known[behind] & ~known[there])[:, None] * 1.0
    count = has_here + has_there
    slope = (has_here * by_here + has_there * by_there) / np.maximum(count, 1)
    diagonal += is_pair
    right -= np.where(is_pair[:, None], slope, 0)
    is_fixed = is_pair & known[there]
    right[is_fixed] += flat[there[is_fixed]]
    is_free = is_pair & ~known[there]
    rows.append(number[hole[is_free]])
    columns.append(number[there[is_free]])
  rows, columns = np.concatenate(rows), np.concatenate(columns)
  matrix = sparse.coo_matrix((-np.ones(len(rows)), (rows, columns)), (num, num))
  matrix = (matrix + sparse.diags(diagonal)).tocsc()
  solved = linalg.spsolve(matrix, right).reshape(num, -1)
  out = flat.copy()
  out[hole] = solved
  return out.reshape(image.shape).astype(np.float32)
