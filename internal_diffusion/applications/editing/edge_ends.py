"""Edges of a picture that end at a hole.

A ring runs around the hole at a few pixels' distance. Where the colours along
it change much, an edge crosses it. The edge is followed away from the hole,
from maximum to maximum of the gradient across it, which gives its direction at
the ring and the colours on both of its sides.
"""

from typing import NamedTuple

import numpy as np
import scipy  # Its `signal` is imported where it is used.
from scipy import ndimage
from skimage import measure

RING = 3.0  # Distance of the ring to the hole, in pixels.
WIDTH = 10  # Pixels on each side of an edge whose colours are compared.
_NEAR = 4  # Pixels on each side that make its contrast.
_STEP = 0.5  # Distance of points of the ring, in pixels.
_BLUR = 1.2  # Standard deviation of the filter before gradients.
_LEAST_CONTRAST = 0.15  # Of an edge, in units of the values.
_ABOVE_TEXTURE = 2.0  # Contrast of an edge over the median along the ring.
# Pixels that an edge is followed, those of them that describe it, and those
# that it has at least.
_REACH, _LENGTH, _LEAST_LENGTH = 160, 24, 8
_STEADY = 16  # Pixels along it in which its colours are compared.
_FADE = 0.4  # Gradient over that at the ring, where an edge ends.
_STEEPNESS = 0.35  # Cosine of the angle between an edge and the ring's normal.


class EdgeEnd(NamedTuple):
  """An edge that ends at a hole.

  Attributes:
    points: Rows and columns of it, from the ring on, away from the hole, in
      steps of a pixel, [S, 2].
    path: All of it that was followed, [T, 2].
    direction: Unit vector (row, column) along it at the ring, away from the
      hole, [2].
    strip: Colours beside it, [S, 2 * WIDTH + 1, C]: along it away from the
      hole in steps of a pixel, and across it, from its right to its left for
      someone who walks to the hole.
    contrast: Largest difference of its colours within a few pixels.
    unsteadiness: Change of its colours along it over the contrast.
  """

  points: np.ndarray
  path: np.ndarray
  direction: np.ndarray
  strip: np.ndarray
  contrast: float
  unsteadiness: float


class _Picture(NamedTuple):
  """A picture with a hole, and what is calculated of it once.

  Attributes:
    continued: [H, W, C], in the hole the nearest known value.
    known: Whether pixels are known, [H, W].
    distance: Distance to the hole, negative inside, [H, W].
    slopes: Derivatives of the smooth picture by row and column, [2, H, W, C].
  """

  continued: np.ndarray
  known: np.ndarray
  distance: np.ndarray
  slopes: np.ndarray


def find_edge_ends(image: np.ndarray, mask: np.ndarray) -> list[EdgeEnd]:
  """The edges that end at the hole of a picture.

  Args:
    image: [H, W, C]; the values of hole pixels are not used.
    mask: True at hole pixels, [H, W].
  """
  picture = _prepare(image, mask)
  found = []
  for ring in measure.find_contours(picture.distance, RING):
    for place in _crossings(picture, _evenly(ring)):
      line = _follow(picture, place)
      if len(line) >= _LEAST_LENGTH:
        found.append(_describe(picture, line))
  return found


def _prepare(image: np.ndarray, mask: np.ndarray) -> _Picture:
  outside = ndimage.distance_transform_edt(~mask)
  inside, nearest = ndimage.distance_transform_edt(mask, return_indices=True)
  continued = image[*nearest].astype(np.float64)
  known = (~mask).astype(np.float64)[..., None]
  total, weight = (
    ndimage.gaussian_filter(part, (_BLUR, _BLUR, 0))
    for part in (known * continued, known)
  )
  smooth = total / np.maximum(weight, 1e-6)
  slopes = np.stack(np.gradient(smooth, axis=(0, 1)))
  return _Picture(continued, ~mask, outside - inside, slopes)


def _evenly(ring: np.ndarray) -> np.ndarray:
  """Points of a line [N, 2] at equal distances."""
  lengths = np.linalg.norm(np.diff(ring, axis=0), axis=1)
  along = np.concatenate([[0], np.cumsum(lengths)])
  at = np.arange(0, along[-1], _STEP)
  return np.stack([np.interp(at, along, part) for part in ring.T], axis=-1)


def sample(values: np.ndarray, places: np.ndarray, order: int) -> np.ndarray:
  """Values [..., C] of an image [H, W, C] at places [..., 2]."""
  at = np.moveaxis(places, -1, 0)
  return np.stack(
    [
      ndimage.map_coordinates(channel, at, order=order, mode='nearest')
      for channel in np.moveaxis(values, -1, 0)
    ],
    axis=-1,
  )


def _crossings(picture: _Picture, ring: np.ndarray) -> np.ndarray:
  """Places [K, 2] where edges cross the ring."""
  reach = round(_NEAR / _STEP)
  if len(ring) < 4 * reach:
    return np.empty((0, 2))
  values = ndimage.gaussian_filter1d(
    sample(picture.continued, ring, 1), 1 / _STEP, axis=0
  )
  slope = np.linalg.norm(np.gradient(values, axis=0), axis=1)
  leap = values[reach:] - values[:-reach]
  contrast = np.zeros(len(ring))
  half = reach // 2
  contrast[half : half + len(leap)] = np.sqrt(np.mean(leap**2, axis=1))
  least = max(_LEAST_CONTRAST, _ABOVE_TEXTURE * float(np.median(contrast)))
  peaks, _ = scipy.signal.find_peaks(slope, distance=reach)
  return ring[[peak for peak in peaks if contrast[peak] >= least]]


def _gradient(picture: _Picture, place: np.ndarray) -> np.ndarray:
  """Derivatives [2, C] at a place [2]."""
  at = np.broadcast_to(place, (2, 2))
  return np.stack([sample(part, at[:1], 1)[0] for part in picture.slopes])


def _across(slopes: np.ndarray) -> np.ndarray:
  """Unit vector of the largest change, given the derivatives [2, C]."""
  _, vectors = np.linalg.eigh(slopes @ slopes.T)
  return vectors[:, -1]


def _follow(picture: _Picture, place: np.ndarray) -> np.ndarray:
  """Points [S, 2] of the edge from a place of the ring on, away from it."""
  size = np.array(picture.known.shape)
  start = _gradient(picture, place)
  normal = _across(start)
  outward = np.stack(
    [
      sample(part[..., None], place[None], 1)[0, 0]
      for part in np.gradient(picture.distance)
    ]
  )
  along = np.array([-normal[1], normal[0]])
  along = along if along @ outward >= 0 else -along
  if along @ outward < _STEEPNESS:
    return np.empty((0, 2))
  # The change across the edge, by which it is known again.
  change = normal @ start
  strength = float(np.linalg.norm(change))
  shifts = np.linspace(-1.5, 1.5, 13)
  line = [place]
  for _ in range(_REACH):
    normal = np.array([along[1], -along[0]])
    tried = line[-1] + along + shifts[:, None] * normal
    if (tried < 1).any() or (tried > size - 2).any():
      break
    slopes = np.stack([sample(part, tried, 1) for part in picture.slopes], 1)
    across = np.einsum('d,ndc->nc', normal, slopes)
    alike = across @ change / strength
    # Maxima far from the straight continuation count less.
    best = int(np.argmax(np.abs(alike) * np.exp(-(shifts**2) / 2)))
    distance = sample(picture.distance[..., None], tried[best][None], 1)
    if abs(alike[best]) < _FADE * strength or distance[0, 0] < RING - 0.5:
      break
    line.append(tried[best])
    tangent = line[-1] - line[max(0, len(line) - 6)]
    along = tangent / np.linalg.norm(tangent)
  return np.stack(line)


def _describe(picture: _Picture, line: np.ndarray) -> EdgeEnd:
  """The end of an edge, given points [S, 2] of it."""
  path, line = line, line[: _LENGTH + 1]
  steps = np.arange(len(line))
  degree = 2 if len(line) >= 12 else 1
  fits = [np.polynomial.Polynomial.fit(steps, x, degree) for x in line.T]
  smooth = np.stack([fit(steps) for fit in fits], axis=-1)
  smooth += ndimage.gaussian_filter1d(line - smooth, 1.5, axis=0)
  tangents = np.stack([fit.deriv()(steps) for fit in fits], axis=-1)
  tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
  left = np.stack([tangents[:, 1], -tangents[:, 0]], axis=-1)
  across = np.arange(-WIDTH, WIDTH + 1)
  places = smooth[:, None] + across[:, None] * left[:, None]
  size = np.array(picture.known.shape)
  is_known = (
    sample(picture.known[..., None].astype(np.float64), places, 1)[..., 0]
    > 0.99
  ) & ((places >= 0) & (places <= size - 1)).all(axis=-1)
  strip = np.where(
    is_known[..., None], sample(picture.continued, places, 3), np.nan
  )
  near = strip[:_STEADY, WIDTH - _NEAR : WIDTH + _NEAR + 1]
  mean = mean_of_known(near)
  contrast = float(np.sqrt(np.nanmean(_range(mean) ** 2)))
  change = float(np.sqrt(np.nanmean((near - mean) ** 2)))
  unsteadiness = change / max(contrast, 1e-6)
  return EdgeEnd(smooth, path, tangents[0], strip, contrast, unsteadiness)


def _range(values: np.ndarray) -> np.ndarray:
  """Largest minus least of what is known, over the first axis."""
  return np.nan_to_num(np.nanmax(values, axis=0) - np.nanmin(values, axis=0))


def mean_of_known(values: np.ndarray) -> np.ndarray:
  """Mean over the first axis of what is not NaN; NaN where nothing is."""
  count = np.sum(~np.isnan(values), axis=0)
  total = np.nansum(values, axis=0)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)
