"""Edges continued through a hole, with the colours on both of their sides.

Where an edge enters a hole and one of the same colours leaves it, and both lie
on about one circle, they are joined by a curve (after Sun et al. 2005, where a
person draws it). A cubic with the tangents a and b of the two ends,

  x(u) = Hermite(p, q, L a, L b), L = |q - p| t / sin t,

is an arc of the circle that turns by 2t, if there is one (t is the mean of the
angles between chord and tangents). Pixels beside the curve get the colours that
the two ends have at their distance n to the edge, weighted by how near the ends
are, and the grain of the nearer end. So a rim stays a rim, where patches of the
picture, which are not turned, would give it a corner.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import spatial

from internal_diffusion.applications.editing.edge_bands import (
  CURVE_STEP,
  make_band,
  mismatch,
)
from internal_diffusion.applications.editing.edge_ends import (
  EdgeEnd,
  find_edge_ends,
)
from internal_diffusion.applications.editing.edge_sides import side_codes

_MOST_TURN = np.radians(75)  # Of an end to the chord.
# Units of what speaks against a join, and their sum at most.
_ASYMMETRY = np.radians(25)  # Difference of the two angles.
_MISMATCH = 0.4  # Difference of the colours over their contrast.
_UNSTEADINESS = 0.25  # Larger one of both ends.
_LENGTH = 80  # Of the curve, in pixels; counts squared.
_TURN = np.radians(65)  # Of the curve from end to middle; counts squared.
_MOST_COST = 2.0
_UNROUNDNESS = 2.0  # Distance of points to one circle, in pixels; squared.
_ROUND = 1.0  # That up to which the curve is the circle.
_STRAIGHT = 0.7  # Distance of points to one line up to which it is the line.
_APART = 3.0  # Of two curves at least, in pixels.


class _Join(NamedTuple):
  """Two ends of one edge.

  Attributes:
    first: The one at which the curve enters the hole.
    last: The one at which it leaves.
    curve: Points of the curve, [S, 2].
    cost: How badly the two fit.
  """

  first: EdgeEnd
  last: EdgeEnd
  curve: np.ndarray
  cost: float


class Continued(NamedTuple):
  """A picture whose edges go on through its hole.

  Attributes:
    picture: With bands of pixels along the edges, [H, W, C].
    is_edge: Where these are, [H, W].
    sides: Codes of the sides of the edges, see `edge_sides`, [H, W].
  """

  picture: np.ndarray
  is_edge: np.ndarray
  sides: np.ndarray


def continue_edges(image: np.ndarray, mask: np.ndarray) -> Continued:
  """Continues edges through the hole of a picture.

  Args:
    image: [H, W, C]; the values of hole pixels are not used.
    mask: True at hole pixels, [H, W].
  """
  joins = _best_joins(find_edge_ends(image, mask), mask)
  picture, done = image.copy(), np.zeros(mask.shape, bool)
  nearest = np.full(mask.shape, np.inf)
  for join in joins:
    rows, columns, values, distance = make_band(*join[:3], mask)
    is_nearer = distance < nearest[rows, columns]
    rows, columns = rows[is_nearer], columns[is_nearer]
    picture[rows, columns] = values[is_nearer].clip(-1, 1)
    nearest[rows, columns] = distance[is_nearer]
    done[rows, columns] = True
  lines = [
    np.concatenate([one.first.path[:0:-1], one.curve, one.last.path[1:]])
    for one in joins
  ]
  return Continued(picture, done, side_codes(lines, mask.shape))


def _best_joins(ends: list[EdgeEnd], mask: np.ndarray) -> list[_Join]:
  """Joins without common ends or crossings, those that fit best first."""
  found = []
  for first, last in itertools.combinations(range(len(ends)), 2):
    join = _join(ends[first], ends[last], mask)
    if join:
      found.append((join.cost, first, last, join))
  chosen: list[_Join] = []
  used: set[int] = set()
  for _, first, last, join in sorted(found, key=lambda one: one[:3]):
    if used & {first, last}:
      continue
    if all(_are_apart(join.curve, other.curve) for other in chosen):
      chosen.append(join)
      used |= {first, last}
  return chosen


def _are_apart(first: np.ndarray, second: np.ndarray) -> bool:
  distance, _ = spatial.cKDTree(first).query(second)
  return bool(distance.min() >= _APART)


def _join(first: EdgeEnd, last: EdgeEnd, mask: np.ndarray) -> _Join | None:
  """The join of two ends, if they fit."""
  start, end = first.points[0], last.points[0]
  chord = end - start
  length = float(np.linalg.norm(chord))
  if length < 2:
    return None
  directions = -first.direction, last.direction
  angles = [_angle(chord, one) for one in directions]
  if max(np.abs(angles)) > _MOST_TURN:
    return None
  cost = abs(sum(angles)) / _ASYMMETRY + mismatch(first, last) / _MISMATCH
  cost += max(first.unsteadiness, last.unsteadiness) / _UNSTEADINESS
  cost += (float(np.mean(np.abs(angles))) / _TURN) ** 2
  tangent, error = _common_circle(first.points, last.points, chord / length)
  cost += (error / _UNROUNDNESS) ** 2
  if error < _ROUND:
    # The chord is turned by an angle, and by the opposite one at the end.
    angles = [tangent, -tangent]
  turn = float(np.mean(np.abs(angles)))
  reach = length * (turn / np.sin(turn) if turn > 1e-3 else 1.0)
  cost += (reach / _LENGTH) ** 2
  if cost > _MOST_COST:
    return None
  enter, leave = (_turned(chord / length, angle) for angle in angles)
  curve = _hermite(start, end, reach * enter, reach * leave)
  if not _runs_inside(curve, mask):
    return None
  return _Join(first, last, curve, cost)


def _common_circle(
  first: np.ndarray, last: np.ndarray, chord: np.ndarray
) -> tuple[float, float]:
  """The line or else the circle that fits two edges best.

  Args:
    first: Points of an edge, [S, 2].
    last: Points of the other, [T, 2].
    chord: Unit vector from one to the other, [2].

  Returns:
    Angle from the chord to its tangent at its first end; root mean square
    distance of the points to it.
  """
  points = np.concatenate([first, last])
  mean = points.mean(axis=0)
  points = points - mean
  least = np.linalg.svd(points, compute_uv=False)[-1]
  if least / np.sqrt(len(points)) < _STRAIGHT:
    return 0.0, float(least / np.sqrt(len(points)))
  # |x|^2 = 2 c x + d: a circle around c.
  matrix = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
  (*centre, rest), *_ = np.linalg.lstsq(matrix, np.sum(points**2, axis=1))
  radius = np.sqrt(rest + centre[0] ** 2 + centre[1] ** 2)
  errors = np.linalg.norm(points - centre, axis=1) - radius
  half = np.linalg.norm(last[0] - first[0]) / 2
  normal = np.array([-chord[1], chord[0]])
  side = np.sign(normal @ ((first[0] + last[0]) / 2 - mean - centre))
  angle = side * np.arcsin(min(1.0, half / radius))
  return float(angle), float(np.sqrt(np.mean(errors**2)))


def _turned(vector: np.ndarray, angle: float) -> np.ndarray:
  cosine, sine = np.cos(angle), np.sin(angle)
  return np.array([[cosine, -sine], [sine, cosine]]) @ vector


def _angle(first: np.ndarray, second: np.ndarray) -> float:
  """Angle from one vector to another, in (-pi, pi]."""
  cross = first[0] * second[1] - first[1] * second[0]
  return float(np.arctan2(cross, first @ second))


def _hermite(
  start: np.ndarray, end: np.ndarray, leaving: np.ndarray, arriving: np.ndarray
) -> np.ndarray:
  """Points [S, 2] of the cubic with given ends and derivatives there."""
  num = max(3, round(float(np.linalg.norm(leaving)) / CURVE_STEP))
  u = np.linspace(0, 1, num)[:, None]
  return (
    (2 * u**3 - 3 * u**2 + 1) * start
    + (u**3 - 2 * u**2 + u) * leaving
    + (3 * u**2 - 2 * u**3) * end
    + (u**3 - u**2) * arriving
  )


def _runs_inside(curve: np.ndarray, mask: np.ndarray) -> bool:
  """Whether a curve is in the hole, but for its ends."""
  inner = np.rint(curve).astype(int)
  size = np.array(mask.shape)
  if (inner < 0).any() or (inner >= size).any():
    return False
  inside = np.flatnonzero(mask[*inner.T])
  if len(inside) < 2:
    return False
  between = mask[*inner[inside[0] : inside[-1] + 1].T]
  outside = len(inner) - len(inside)
  return bool(between.all()) and outside * CURVE_STEP < 20
