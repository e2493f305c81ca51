"""Colours of the pixels beside an edge that goes on through a hole.

The band is as wide as the two ends of the edge have the same colours, and as
these stay the same along each of them.
"""

import numpy as np
from scipy import ndimage, spatial

from internal_diffusion.applications.editing.edge_ends import (
  WIDTH,
  EdgeEnd,
  mean_of_known,
)
from internal_diffusion.applications.editing.edge_sides import across

CURVE_STEP = 0.25  # Distance of points of a curve, in pixels.
_NEAR = 4  # Pixels on each side at which colours are compared.
# Difference of the ends' colours, and change along an end, over the contrast,
# up to which a band goes, and the former in units of the values.
_ALIKE, _STEADY, _MOST_DIFFERENCE = 0.25, 0.2, 0.2
_LEAST_WIDTH = 3  # Of a band on each side, in pixels.
_GRAIN = 3.0  # Standard deviation of the filter that separates grain.
_MOST_GRAIN = 4.0  # Over its median.
_LENGTH = 8  # Pixels of an end whose mean colours are compared.


def _profile(end: EdgeEnd) -> np.ndarray:
  """Mean colours [2 * WIDTH + 1, C] across an edge near the hole."""
  return mean_of_known(end.strip[:_LENGTH])


def _difference(first: EdgeEnd, last: EdgeEnd) -> np.ndarray:
  """Difference of the colours over their contrast, [2 * WIDTH + 1]."""
  # One of them enters and the other leaves.
  other = _profile(last)[::-1]
  contrast = max(first.contrast, last.contrast, 1e-6)
  return np.sqrt(np.mean((_profile(first) - other) ** 2, axis=-1)) / contrast


def _change(end: EdgeEnd) -> np.ndarray:
  """Change of the colours along an edge over its contrast, [2 * WIDTH + 1]."""
  change = mean_of_known((end.strip - mean_of_known(end.strip)) ** 2)
  return np.sqrt(np.mean(change, axis=-1)) / max(end.contrast, 1e-6)


def mismatch(first: EdgeEnd, last: EdgeEnd) -> float:
  """Difference of the colours beside two ends, over their contrast."""
  difference = _difference(first, last)[WIDTH - _NEAR : WIDTH + _NEAR + 1]
  if np.isnan(difference).all():
    return np.inf
  return float(np.sqrt(np.nanmean(difference**2)))


def _widths(first: EdgeEnd, last: EdgeEnd) -> tuple[int, int]:
  """Pixels on the right and on the left in which both ends are alike."""
  contrast = max(first.contrast, last.contrast)
  difference = _difference(first, last)
  is_part = difference < min(_ALIKE, _MOST_DIFFERENCE / contrast)
  is_part &= _change(first) < _STEADY
  is_part &= _change(last)[::-1] < _STEADY
  sides = is_part[WIDTH::-1], is_part[WIDTH:]
  right, left = (
    len(side) - 1 if side.all() else int(np.argmin(side)) - 1 for side in sides
  )
  return max(right, _LEAST_WIDTH), max(left, _LEAST_WIDTH)


def make_band(
  first: EdgeEnd, last: EdgeEnd, curve: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """The pixels of a hole beside a curve.

  Args:
    first: Edge that the curve continues.
    last: Edge to which it leads.
    curve: Points of it, [S, 2], CURVE_STEP pixels from each other.
    mask: True at hole pixels, [H, W].

  Returns:
    Rows [N], columns [N], values [N, C] and distances to the curve [N].
  """
  right, left = _widths(first, last)
  tree = spatial.cKDTree(curve)
  pixels = np.argwhere(mask)
  distance, index = tree.query(pixels, distance_upper_bound=WIDTH + 1)
  is_near = np.isfinite(distance)
  pixels, index = pixels[is_near], index[is_near]
  offset = across(curve, pixels, index)
  is_in = (offset >= -right) & (offset <= left)
  pixels, index, offset = pixels[is_in], index[is_in], offset[is_in]
  along = index * CURVE_STEP
  total = (len(curve) - 1) * CURVE_STEP
  weight = (along / total)[:, None]
  smooth, grain = zip(
    _beside(first, along, offset),
    _beside(last, total - along, -offset),
    strict=True,
  )
  values = (1 - weight) * smooth[0] + weight * smooth[1]
  values = values + np.where(weight < 0.5, grain[0], grain[1])
  return *pixels.T, values, abs(offset)


def _beside(
  end: EdgeEnd, along: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Colours near the hole [N, C] at distances to it, and the grain along."""
  strip = _without_gaps(end.strip)
  smooth = ndimage.gaussian_filter1d(strip, _GRAIN, axis=0, mode='nearest')
  grain = strip - smooth
  most = _MOST_GRAIN * np.median(abs(grain))
  last = len(strip) - 1
  # There and back, as the strip may be shorter than the curve.
  there = last - abs(np.mod(along, 2 * last) - last)
  at = np.stack([there, offset + WIDTH])
  colours, grain = (
    np.stack(
      [
        ndimage.map_coordinates(channel, place, order=order, mode='nearest')
        for channel in np.moveaxis(part, -1, 0)
      ],
      axis=-1,
    )
    for part, place, order in (
      (smooth, np.stack([np.zeros_like(along), offset + WIDTH]), 1),
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
