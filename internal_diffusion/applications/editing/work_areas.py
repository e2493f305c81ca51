"""Where a fill looks: the hole and its neighbourhood."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Pixels around a hole that belong to its work area: as many as the hole is
# wide, and at least this many.
_LEAST_MARGIN = 64
# Holes whose inscribed radius is at most this are thin: what is missing is
# determined by what is around it.
_THIN_RADIUS = 4.0
_TOGETHER = np.ones((3, 3), bool)  # Pixels that touch by a corner are one hole.


class WorkArea(NamedTuple):
  """A rectangle of a picture.

  Attributes:
    rows: Range of its rows.
    columns: Range of its columns.
  """

  rows: slice
  columns: slice

  def meets(self, other: 'WorkArea') -> bool:
    """Whether two rectangles have a pixel in common."""
    return all(
      mine.start < theirs.stop and theirs.start < mine.stop
      for mine, theirs in zip(self, other, strict=True)
    )

  def join(self, other: 'WorkArea') -> 'WorkArea':
    """The smallest rectangle around both."""
    return WorkArea(
      *(
        slice(min(mine.start, theirs.start), max(mine.stop, theirs.stop))
        for mine, theirs in zip(self, other, strict=True)
      )
    )


def find_work_areas(mask: np.ndarray) -> list[WorkArea]:
  """Rectangles around the holes of a mask [H, W], without common pixels."""
  labels, _ = ndimage.label(mask, _TOGETHER)
  areas = [
    _widened(WorkArea(*box), mask.shape) for box in ndimage.find_objects(labels)
  ]
  disjoint: list[WorkArea] = []
  while areas:
    area = areas.pop()
    met = [other for other in disjoint if area.meets(other)]
    if not met:
      disjoint.append(area)
      continue
    disjoint = [other for other in disjoint if not area.meets(other)]
    for other in met:
      area = area.join(other)
    areas.append(area)
  return sorted(
    disjoint, key=lambda area: (area.rows.start, area.columns.start)
  )


def _widened(box: WorkArea, size: tuple[int, ...]) -> WorkArea:
  sides = [part.stop - part.start for part in box]
  margin = max(_LEAST_MARGIN, *sides)
  return WorkArea(
    *(
      slice(max(0, part.start - margin), min(side, part.stop + margin))
      for part, side in zip(box, size, strict=True)
    )
  )


def find_thin(mask: np.ndarray) -> np.ndarray:
  """The holes of a mask [H, W] that are thin everywhere, [H, W] bool.

  A hole at the picture's border is judged as if the picture were known beyond,
  so a narrow strip along the border counts by its whole width.
  """
  labels, num = ndimage.label(mask, _TOGETHER)
  depth = _depth(mask)
  radius = ndimage.maximum(depth, labels, np.arange(1, num + 1))
  is_thin = np.concatenate([[False], np.asarray(radius) <= _THIN_RADIUS])
  return is_thin[labels]


def _depth(mask: np.ndarray) -> np.ndarray:
  """Distance of each hole pixel to the nearest known pixel."""
  return ndimage.distance_transform_edt(mask)
