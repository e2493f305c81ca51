"""Search for motion that is too long for a start from zero.

From coarse to fine, a flow can only grow by a few pixels at each level. So at
one coarse level, each pixel is compared with all pixels up to half a frame away
by the normalised correlation of their surroundings. A match counts if it leads
back to where it started. Where many matches are long, they become the start of
the estimation; otherwise it starts at the coarsest level from zero.

The same correlation, along the final flow, tells whether the surroundings of a
pixel were found at all.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.applications.flow import field
from internal_diffusion.applications.flow.field import FieldPrior
from internal_diffusion.applications.flow.frames import (
  FramePyramid,
  warp_plane,
)
from internal_diffusion.data import warp

Array = jax.Array

_MAX_SIDE = 64  # Bound on the shorter side of the level that is searched.
_WINDOW = 2.5  # Standard deviation of the surroundings, in pixels.
_CONTRAST_FLOOR = 0.02  # Standard deviation that does not count as texture.
_MAX_REACH = 48  # Bound on displacements along an axis, in pixels.
_NEAR = 2.5  # Displacement that a start from zero finds, in pixels.
_MARGIN = 0.1  # Correlation by which a long match must be better than a short.
_MIN_CORRELATION = 0.6
_MIN_LONG = 0.03  # Fraction of pixels with long matches that makes a start.
_PRECISION = 0.12  # Of a match, in 1 / pixels^2; see `likelihood_weight`.


class Start(NamedTuple):
  """Start of the estimation.

  Attributes:
    level: Pyramid level to start at.
    there: Flow from the first frame to the second at that level, [h, w, 2].
    back: Flow from the second frame to the first, [h, w, 2].
  """

  level: int
  there: Array
  back: Array


class _Matches(NamedTuple):
  """Best matches of all pixels.

  The displacement [h, w, 2], its correlation [h, w], and the best correlation
  `near` among short displacements.
  """

  displacement: Array
  correlation: Array
  near: Array


def find_start(
  first: FramePyramid,
  second: FramePyramid,
  prior: FieldPrior,
  *,
  is_horizontal: bool,
) -> Start:
  """The start of the estimation; `is_horizontal`: nothing moves along y."""
  coarsest = len(first.grey) - 1
  level = search_level(first)
  height, width = first.grey[level].shape
  reach = (0 if is_horizontal else _reach(height), _reach(width))
  near = _NEAR * 2.0 ** (coarsest - level)
  fields, is_long = _search(
    first.grey[level],
    second.grey[level],
    first.colour[level],
    second.colour[level],
    prior,
    near,
    reach=reach,
  )
  if is_long:
    return Start(level, *fields)
  zero = jnp.zeros((*first.grey[-1].shape, 2))
  return Start(coarsest, zero, zero)


def search_level(pyramid: FramePyramid) -> int:
  """The level that is searched: the finest one that is small enough."""
  small = [min(grey.shape) <= _MAX_SIDE for grey in pyramid.grey]
  return small.index(True) if any(small) else len(small) - 1


def search_range(pyramid: FramePyramid) -> float:
  """Longest motion along an axis that is searched, in pixels of level 0."""
  level = search_level(pyramid)
  return 2.0**level * max(map(_reach, pyramid.grey[level].shape))


def resize_flow(flow: Array, size: Sequence[int]) -> Array:
  """A flow at another level's size (height, width), in that level's pixels."""
  scale = jnp.array([size[1] / flow.shape[1], size[0] / flow.shape[0]])
  resized = jax.image.resize(flow, (*size, 2), 'linear')
  return scale[None, None] * resized


def _reach(side: int) -> int:
  return min(side // 2, _MAX_REACH)


@functools.partial(jax.jit, static_argnames='reach')
def _search(
  first: Array,
  second: Array,
  first_guide: Array,
  second_guide: Array,
  prior: FieldPrior,
  near: float,
  *,
  reach: tuple[int, int],
) -> tuple[tuple[Array, Array], Array]:
  """Both start flows, and whether enough matches are long."""
  there = _best_matches(first, second, near, reach=reach)
  back = _best_matches(second, first, near, reach=reach)
  ways = (there, back, first_guide), (back, there, second_guide)
  starts, fractions = [], []
  for own, other, guide in ways:
    returned, inside = warp.warp(
      other.displacement, own.displacement, interpolation='bilinear'
    )
    left = jnp.max(jnp.abs(own.displacement + returned), axis=-1)
    good = inside & (left <= 1) & (own.correlation > _MIN_CORRELATION)
    is_long = jnp.max(jnp.abs(own.displacement), axis=-1) > near
    is_long &= own.correlation > own.near + _MARGIN
    fractions.append(jnp.mean(good & is_long))
    weight = good.astype(jnp.float32)
    weighted = weight[..., None] * own.displacement
    around = field.gaussian_average(
      jnp.concatenate([weighted, weight[..., None]], axis=-1), scale=4.0
    )
    found = field.fuse(
      own.displacement,
      _PRECISION * weight[..., None, None] * jnp.eye(2)[None, None],
      guide,
      around[..., :2] / (around[..., 2:] + 1e-6),
      prior=prior,
      num_reweightings=10,
      num_iterations=50,
    )
    starts.append(found.mean)
  return (starts[0], starts[1]), jnp.minimum(*fractions) > _MIN_LONG


def _average(values: Array) -> Array:
  """Averages [..., h, w] over the surroundings of each pixel."""
  return field.gaussian_average(values[..., None], scale=_WINDOW)[..., 0]


def _moments(grey: Array) -> tuple[Array, Array]:
  """Local mean and local standard deviation of frames, [..., h, w] each."""
  mean = _average(grey)
  variance = jnp.maximum(_average(grey**2) - mean**2, 0)
  return mean, jnp.sqrt(variance + _CONTRAST_FLOOR**2)


def _best_matches(
  first: Array, second: Array, near: float, *, reach: tuple[int, int]
) -> _Matches:
  """Matches of highest correlation within a reach (y, x)."""
  (height, width), (down, right) = first.shape, reach
  mean, std = _moments(first)
  margin = ((down, down), (right, right))
  # Pixels outside the second frame correlate with nothing.
  outside = jnp.pad(jnp.zeros(second.shape), margin, constant_values=math.inf)
  others = jnp.stack([jnp.pad(second, margin, mode='edge'), outside])
  steps = jnp.arange(2 * right + 1)
  columns = steps[:, None] + jnp.arange(width)[None]

  def match_row(best: _Matches, dy: Array) -> tuple[_Matches, None]:
    rows = jax.lax.dynamic_slice_in_dim(others, dy, height, axis=1)
    # [2, height, steps, width], then two arrays [steps, height, width].
    other, outside = jnp.moveaxis(rows[:, :, columns], 2, 1)
    other_mean, other_std = _moments(other)
    product = _average(first[None] * other)
    correlation = (product - mean[None] * other_mean) / (
      std[None] * other_std + outside
    )
    dx = steps - right
    index = jnp.argmax(correlation, axis=0)
    highest = jnp.max(correlation, axis=0)
    is_near = (jnp.abs(dx) <= near) & (jnp.abs(dy - down) <= near)
    highest_near = jnp.max(
      jnp.where(is_near[:, None, None], correlation, -1.0), axis=0
    )
    found = jnp.stack(
      [dx[index], jnp.broadcast_to(dy - down, index.shape)], axis=-1
    ).astype(jnp.float32)
    is_better = highest > best.correlation
    return _Matches(
      jnp.where(is_better[..., None], found, best.displacement),
      jnp.maximum(highest, best.correlation),
      jnp.maximum(highest_near, best.near),
    ), None

  lowest = jnp.full(first.shape, -1.0)
  start = _Matches(jnp.zeros((*first.shape, 2)), lowest, lowest)
  return jax.lax.scan(match_row, start, jnp.arange(2 * down + 1))[0]


@jax.jit
def lost_fraction(first: Array, second: Array, flow: Array) -> Array:
  """How surely the surroundings of pixels do not match along a flow, [H, W].

  Args:
    first: Luminance of the first frame at the searched level, [h, w].
    second: Luminance of the second frame at that level, [h, w].
    flow: Flow (u, v) at level 0, [H, W, 2].

  Returns:
    0 where they match, 1 where they are as different as those of other pixels.
  """
  own = resize_flow(flow, first.shape)
  warped = warp_plane(second, own)
  (mean, std), (other_mean, other_std) = map(_moments, (first, warped))
  product = _average(first * warped)
  # Squared difference of the surroundings without their means, over its
  # expectation for independent surroundings.
  total = std**2 + other_std**2
  covariance = product - mean * other_mean
  difference = 1 - 2 * (covariance + _CONTRAST_FLOOR**2) / total
  weight = warp.stays_inside(own).astype(jnp.float32)
  around = field.gaussian_average(
    jnp.stack([weight * difference, weight], axis=-1), scale=2 * _WINDOW
  )
  # Where nothing around leads inside, nothing is known.
  mean_difference = (around[..., 0] + 1e-3) / (around[..., 1] + 1e-3)
  lost = jnp.clip(3 * mean_difference - 0.9, 0, 1)
  return jax.image.resize(lost, flow.shape[:2], 'linear')
