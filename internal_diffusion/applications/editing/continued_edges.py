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
from scipy import ndimage, spatial

from internal_diffusion.applications.editing.edge_ends import (
  WIDTH,
  EdgeEnd,
  find_edge_ends,
  mean_of_known,
)

_MOST_TURN = np.radians(75)  # Of an end to the chord.
# Units of what speaks against a join, and their sum at most.
_ASYMMETRY = np.radians(25)  # Difference of the two angles.
_MISMATCH = 0.4  # Difference of the colours over their contrast.
_UNSTEADINESS = 0.25  # Larger one of both ends.
_LENGTH = 80  # Of the curve, in pixels; counts squared.
_MOST_COST = 2.0
_UNROUNDNESS = 2.0  # Distance of points to one circle, in pixels; squared.
_ROUND = 1.0  # That up to which the curve is the circle.
_NEAR = 4  # Pixels on each side at which colours are compared.
_ALIKE = 0.25  # Difference of colours over contrast up to which a band goes.
_LEAST_WIDTH = 3  # Of a band on each side, in pixels.
_STEP = 0.25  # Distance of points of a curve, in pixels.
_APART = 3.0  # Of two curves at least, in pixels.
_GRAIN = 3.0  # Standard deviation of the filter that separates grain.
_MOST_GRAIN = 4.0  # Over its median.


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


def continue_edges(
  image: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Continues edges through the hole of a picture.

  Args:
    image: [H, W, C]; the values of hole pixels are not used.
    mask: True at hole pixels, [H, W].

  Returns:
    The picture with bands of pixels along the edges, [H, W, C], and where these
    are, [H, W].
  """
  ends = find_edge_ends(image, mask)
  joins = _best_joins(ends, mask)
  picture, done = image.copy(), np.zeros(mask.shape, bool)
  nearest = np.full(mask.shape, np.inf)
  for join in joins:
    rows, columns, values, distance = _band(join, mask)
    is_nearer = distance < nearest[rows, columns]
    rows, columns = rows[is_nearer], columns[is_nearer]
    picture[rows, columns] = values[is_nearer]
    nearest[rows, columns] = distance[is_nearer]
    done[rows, columns] = True
  return picture.clip(-1, 1).astype(np.float32), done


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
  cost = abs(sum(angles)) / _ASYMMETRY + _mismatch(first, last) / _MISMATCH
  cost += max(first.unsteadiness, last.unsteadiness) / _UNSTEADINESS
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
  """The circle that fits two edges best.

  Args:
    first: Points of an edge, [S, 2].
    last: Points of the other, [T, 2].
    chord: Unit vector from one to the other, [2].

  Returns:
    Angle from the chord to the circle's tangent at its first end; root mean
    square distance of the points to the circle.
  """
  points = np.concatenate([first, last])
  mean = points.mean(axis=0)
  points = points - mean
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
  num = max(3, round(float(np.linalg.norm(leaving)) / _STEP))
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
  return bool(between.all()) and outside * _STEP < 20


def _profile(end: EdgeEnd) -> np.ndarray:
  """Mean colours [2 * WIDTH + 1, C] across an edge near the hole."""
  return mean_of_known(end.strip[:8])


def _difference(first: EdgeEnd, last: EdgeEnd) -> np.ndarray:
  """Difference of the colours over their contrast, [2 * WIDTH + 1]."""
  # One of them enters and the other leaves.
  other = _profile(last)[::-1]
  contrast = max(first.contrast, last.contrast, 1e-6)
  return np.sqrt(np.mean((_profile(first) - other) ** 2, axis=-1)) / contrast


def _mismatch(first: EdgeEnd, last: EdgeEnd) -> float:
  difference = _difference(first, last)[WIDTH - _NEAR : WIDTH + _NEAR + 1]
  if np.isnan(difference).all():
    return np.inf
  return float(np.sqrt(np.nanmean(difference**2)))


def _widths(join: _Join) -> tuple[int, int]:
  """Pixels on the right and on the left in which both ends are alike."""
  is_alike = _difference(join.first, join.last) < _ALIKE
  sides = is_alike[WIDTH::-1], is_alike[WIDTH:]
  right, left = (
    len(side) - 1 if side.all() else int(np.argmin(side)) - 1 for side in sides
  )
  return max(right, _LEAST_WIDTH), max(left, _LEAST_WIDTH)


def _band(
  join: _Join, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """Rows, columns, values and distances of the pixels beside a curve."""
  right, left = _widths(join)
  tree = spatial.cKDTree(join.curve)
  pixels = np.argwhere(mask)
  distance, index = tree.query(pixels, distance_upper_bound=WIDTH + 1)
  is_near = np.isfinite(distance)
  pixels, index = pixels[is_near], index[is_near]
  tangent = np.gradient(join.curve, axis=0)[index]
  tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
  offset = pixels - join.curve[index]
  # To the left of someone who walks along the curve.
  across = offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]
  is_in = (across >= -right) & (across <= left)
  pixels, index, across = pixels[is_in], index[is_in], across[is_in]
  along = index * _STEP
  total = (len(join.curve) - 1) * _STEP
  weight = (along / total)[:, None]
  smooth, grain = zip(
    _beside(join.first, along, across),
    _beside(join.last, total - along, -across),
    strict=True,
  )
  values = (1 - weight) * smooth[0] + weight * smooth[1]
  values = values + np.where(weight < 0.5, grain[0], grain[1])
  return *pixels.T, values, abs(across)


def _beside(
  end: EdgeEnd, along: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Colours near the hole [N, C] at distances across, and the grain along."""
  strip = _without_gaps(end.strip)
  smooth = ndimage.gaussian_filter1d(strip, _GRAIN, axis=0, mode='nearest')
  grain = strip - smooth
  most = _MOST_GRAIN * np.median(abs(grain))
  last = len(strip) - 1
  # There and back, as the strip may be shorter than the curve.
  there = last - abs(np.mod(along, 2 * last) - last)
  at = np.stack([there, across + WIDTH])
  colours, grain = (
    np.stack(
      [
        ndimage.map_coordinates(channel, place, order=order, mode='nearest')
        for channel in np.moveaxis(part, -1, 0)
      ],
      axis=-1,
    )
    for part, place, order in (
      (smooth, np.stack([np.zeros_like(along), across + WIDTH]), 1),
      (grain.clip(-most, most), at, 3),
    )
  )
  return colours, grain


def _without_gaps(strip: np.ndarray) -> np.ndarray:
  """A strip [S, N, C] whose unknown pixels are the nearest known ones."""
  unknown = np.isnan(strip[..., 0])
  if unknown.all() or not unknown.any():
    return np.nan_to_num(strip)
  # Along the edge first: its colours differ less there.
  nearest = ndimage.distance_transform_edt(
    unknown, sampling=(1, 4), return_distances=False, return_indices=True
  )
  return strip[*nearest]
