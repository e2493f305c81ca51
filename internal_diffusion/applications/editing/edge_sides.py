"""On which sides of continued edges pixels lie.

Two pixels that lie on different sides of an edge have nothing to do with each
other: the patch of one is compared, and filled, without the other. A pixel's
code has a bit for each edge to whose left it lies and one for each to whose
right; on the edge itself it has both, and far from it, none.
"""

from collections.abc import Sequence

import jax
import numpy as np
from scipy import ndimage, spatial

_NUM_EDGES = 15  # Two bits each.
_FAR = 48.0  # Distance up to which an edge separates, in pixels.
_CORE = 2.0  # Distance up to which a pixel has the colours of both sides.
_LOW = (1 << _NUM_EDGES) - 1


def side_codes(
  lines: Sequence[np.ndarray], size: tuple[int, int]
) -> np.ndarray:
  """Codes [H, W] int32 of the pixels of a picture.

  Args:
    lines: Points of each edge, [S, 2]; those beyond 15 edges are left out.
    size: Height H and width W.
  """
  codes = np.zeros(size, np.int32)
  pixels = np.moveaxis(np.indices(size), 0, -1).reshape(-1, 2)
  for bit, line in enumerate(lines[:_NUM_EDGES]):
    distance, index = spatial.cKDTree(line).query(
      pixels, distance_upper_bound=_FAR
    )
    is_beside = np.isfinite(distance) & (index > 0) & (index < len(line) - 1)
    rows, columns = pixels[is_beside].T
    offset = across(line, pixels[is_beside], index[is_beside])
    for is_there, own in ((offset > -_CORE, bit), (offset < _CORE, bit + 15)):
      codes[rows[is_there], columns[is_there]] |= 1 << own
  return codes


def across(
  line: np.ndarray, pixels: np.ndarray, index: np.ndarray
) -> np.ndarray:
  """Distances [N] of pixels to a line, positive on its left.

  Args:
    line: Points, [S, 2]; its left is that of someone who walks along them.
    pixels: Rows and columns, [N, 2].
    index: Nearest point of each, [N].
  """
  tangent = np.gradient(line, axis=0)[index]
  tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
  offset = pixels - line[index]
  return offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]


def are_together(first: jax.Array, second: jax.Array) -> jax.Array:
  """Whether no edge separates pixels with these codes."""
  turned = ((second & _LOW) << _NUM_EDGES) | (second >> _NUM_EDGES)
  return (first & turned) == 0


def decided(codes: np.ndarray, hole: np.ndarray) -> np.ndarray:
  """Codes with one side of each edge at the pixels of a hole, [H, W].

  A coarse pixel may lie on both sides. In a hole it takes the code of the
  nearest pixel of the hole that does not, or none.
  """
  both = codes & (codes >> _NUM_EDGES) & _LOW
  is_clear = hole & (both == 0)
  if not is_clear.any():
    return np.where(hole, 0, codes)
  nearest = ndimage.distance_transform_edt(
    ~is_clear, return_distances=False, return_indices=True
  )
  return np.where(hole, codes[*nearest], codes)
