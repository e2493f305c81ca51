"""Search for motion that is too long to be found from coarse to fine.

From coarse to fine, a flow can only grow by a few pixels at each level. So at
one coarse level, each pixel is compared with all pixels up to half a frame
away, and its best matches are followed to the finest level (`candidates`).
There the flow that was found from coarse to fine is one candidate more, and the
field chooses. The choice counts if it leads back to where it started; other
pixels have the flow of the surface they belong to (`occlusion`).

The correlation of the surroundings of a pixel, along the final flow, tells
whether they were found at all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.flow import candidates, field, occlusion
from internal_diffusion.applications.flow.candidates import Modes
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
_SAME = 1.5  # Distance in pixels at which a flow is a mode in whole pixels.
# Precision of a match and of a filled flow, in 1 / pixels^2; see
# `likelihood_weight`.
_MATCHED, _FILLED = 0.12, 0.036


class Start(NamedTuple):
  """Start of the estimation at the finest level.

  Attributes:
    there: Flow from the first frame to the second, [H, W, 2].
    back: Flow from the second frame to the first, [H, W, 2].
    modes: Modes of the first frame's pixels.
  """

  there: Array
  back: Array
  modes: Modes


def find_start(
  first: FramePyramid,
  second: FramePyramid,
  there: Array,
  back: Array,
  prior: FieldPrior,
  *,
  is_horizontal: bool,
) -> Start:
  """The start of the estimation at the finest level.

  Args:
    first: Pyramid of the first frame.
    second: Pyramid of the second frame.
    there: Flow that was found from coarse to fine, [H, W, 2].
    back: The same from the second frame to the first.
    prior: Prior of the field.
    is_horizontal: Whether nothing moves along y.
  """
  level = search_level(first)
  height, width = first.grey[level].shape
  reach = (0 if is_horizontal else _reach(height), _reach(width))
  levels, other_levels = (
    pyramid.colour[: level + 1] for pyramid in (first, second)
  )
  modes = candidates.find_modes(levels, other_levels, there, reach=reach)
  other_modes = candidates.find_modes(other_levels, levels, back, reach=reach)
  chosen = _choose(modes, there)
  other_chosen = _choose(other_modes, back)
  return Start(
    _complete(chosen, other_chosen, levels[0], prior),
    _complete(other_chosen, chosen, other_levels[0], prior),
    modes,
  )


@jax.jit
def _choose(modes: Modes, flow: Array) -> Array:
  """The best mode, or the flow from coarse to fine if it is that mode."""
  best = modes.displacement[:, :, 0].astype(flow.dtype)
  apart = jnp.max(jnp.abs(best - flow), axis=-1, keepdims=True)
  return jnp.where(apart <= _SAME, flow, best)


def _complete(
  flow: Array, back: Array, guide: Array, prior: FieldPrior
) -> Array:
  """A smooth flow, filled where it does not lead back."""
  known = occlusion.leads_back(flow, back)
  filled = occlusion.fill(*map(np.asarray, (flow, known, guide)))
  return _smooth(jax.device_put(filled), known, guide, prior)


@jax.jit
def _smooth(
  flow: Array, known: Array, guide: Array, prior: FieldPrior
) -> Array:
  precision = jnp.where(known, _MATCHED, _FILLED)[..., None, None]
  return field.fuse(
    flow,
    precision * jnp.eye(2)[None, None],
    guide,
    flow,
    prior=prior,
    num_reweightings=3,
  ).mean


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


def _average(values: Array) -> Array:
  """Averages [..., h, w] over the surroundings of each pixel."""
  return field.gaussian_average(values[..., None], scale=_WINDOW)[..., 0]


def _moments(grey: Array) -> tuple[Array, Array]:
  """Local mean and local standard deviation of frames, [..., h, w] each."""
  mean = _average(grey)
  variance = jnp.maximum(_average(grey**2) - mean**2, 0)
  return mean, jnp.sqrt(variance + _CONTRAST_FLOOR**2)


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
