"""What optical flow learns from: one frame, and the frame itself moved.

Every level of the frame's pyramid is moved along random fields, so the
displacement of every patch is known. A patch of the frame (source), what stands
at the same place of the moved frame (target) and

  delta: where in the frame the target stands, seen from the source, (x, y),

are a triplet. What moves along a flow leaves that way, so the flow is -delta.

A field is smooth, with a part of another motion in front, as in a scene with
depth. Where the displacement has a part of a pixel, interpolation blurs, and
blur would tell what it is. So a frame is moved in two steps: by a spline of
fifth order, which hardly blurs, along the field less a random part of a pixel,
and by the cubic that warps frames later by that part. The target's blur then
is that of a warped second frame and says nothing about delta.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays
from internal_diffusion.data import warp
from internal_diffusion.data.symmetry import pixel_orders

Array = jax.Array

_SPLINE_ORDER = 5
# Shortest and longest scale of a field's changes, and of the shape of what is
# in front, as standard deviations of Gaussian filters, in pixels.
_FIELD_SCALES = (8.0, 40.0)
_SHAPE_SCALES = (6.0, 20.0)
_MAX_SHARE = 0.2  # Of the shorter side, of all these scales.
_FRONT_THRESHOLD = 0.3  # In standard deviations of the noise that is cut.
_FRONT_RATE = 0.7  # Share of the fields that have something in front.


class FlowPairs(NamedTuple):
  """Pairs of frames, the pixels of all one behind the other.

  Attributes:
    source: The frame's levels, once for each moved one, [N].
    target: The moved frames, [N].
    delta: (x, y) in pixels, [N, 2].
    start: Where each pair begins, [F].
    size: Its height and width, [F, 2].
    cumulative: Distribution function of the draw of a pair, [F], the last 1.
  """

  source: Array
  target: Array
  delta: Array
  start: Array
  size: Array
  cumulative: Array


def random_field(
  rng: np.random.Generator, size: tuple[int, int], *, stddev: float
) -> np.ndarray:
  """A smooth field, mostly with something of another motion in front.

  Args:
    rng: Where it is drawn from.
    size: (H, W).
    stddev: Standard deviation of each component, in pixels: half of its
      variance is common to all pixels, half of it changes between them.

  Returns:
    (x, y), [H, W, 2] float32.
  """

  def motion() -> np.ndarray:
    scale = _draw_scale(rng, _FIELD_SCALES)
    common = rng.standard_normal(2)
    changes = [_smooth_noise(rng, size, scale) for _ in range(2)]
    return stddev * np.sqrt(0.5) * (common + np.stack(changes, axis=-1))

  field = motion()
  if rng.uniform() < _FRONT_RATE:
    noise = _smooth_noise(rng, size, _draw_scale(rng, _SHAPE_SCALES))
    field = np.where(noise[..., None] > _FRONT_THRESHOLD, motion(), field)
  return field.astype(np.float32)


def build_pairs(
  levels: Sequence[np.ndarray],
  *,
  num_fields: int,
  stddev: float,
  seed: int = 0,
) -> FlowPairs:
  """Moves every level along random fields.

  Args:
    levels: Of the frame's pyramid, grey, each [h, w].
    num_fields: How many fields for each level.
    stddev: Of their components, in pixels of the level.
    seed: Of the fields.

  Raises:
    ValueError: If an option is out of range.
  """
  arrays.check_positive_int('num_fields', num_fields)
  arrays.check_in_range('stddev', stddev, 0, float('inf'), open_low=True)
  rng = np.random.default_rng(seed)
  sources, targets, deltas, sizes = [], [], [], []
  for level in levels:
    plane = np.asarray(level, np.float32)
    for _ in range(num_fields):
      delta = random_field(rng, plane.shape, stddev=stddev)
      sources.append(plane)
      targets.append(_move(plane, delta, rng.uniform(-0.5, 0.5, 2)))
      deltas.append(delta)
      sizes.append(plane.shape)
  num_pixels = np.prod(sizes, axis=1)
  # Coarse levels are small and matter as much: in between.
  weight = np.sqrt(num_pixels.astype(np.float64))
  return FlowPairs(
    source=_flat(sources),
    target=_flat(targets),
    delta=jnp.concatenate([jnp.asarray(d.reshape(-1, 2)) for d in deltas]),
    start=jnp.asarray(np.cumsum(num_pixels) - num_pixels, jnp.int32),
    size=jnp.asarray(sizes, jnp.int32),
    cumulative=jnp.asarray(np.cumsum(weight / weight.sum()), jnp.float32),
  )


def sample_pairs(
  key: Array, pairs: FlowPairs, *, num: int, patch_size: int
) -> tuple[Array, Array, Array]:
  """Draws triplets, turned and mirrored at random.

  Args:
    key: Of the draw.
    pairs: Where from.
    num: How many, N.
    patch_size: P, odd, at most the shortest side of the pairs.

  Returns:
    Sources [N, P*P], targets [N, P*P] and deltas (x, y) [N, 2].
  """
  uniform = jax.random.uniform(key, (4, num))
  pair = jnp.searchsorted(pairs.cumulative, uniform[0])
  pair = jnp.minimum(pair, len(pairs.start) - 1)
  height, width = pairs.size[pair].T
  row = arrays.index_from_uniform(uniform[1], height - patch_size + 1)
  column = arrays.index_from_uniform(uniform[2], width - patch_size + 1)
  symmetry = arrays.index_from_uniform(uniform[3], 8)
  order = jnp.asarray(pixel_orders(patch_size))[symmetry]
  rows, columns = row[:, None] + order // patch_size, order % patch_size
  columns += column[:, None]
  index = pairs.start[pair, None] + rows * width[:, None] + columns
  # The centre stays where it is.
  delta = pairs.delta[index[:, patch_size**2 // 2]]
  return pairs.source[index], pairs.target[index], _turn(delta, symmetry)


def _turn(delta: Array, symmetry: Array) -> Array:
  """Displacements (x, y) [N, 2] in patches of `pixel_orders` [N]."""
  swap, signs = (
    (symmetry & 4) > 0,
    (symmetry[:, None] & jnp.array([[1, 2]])) > 0,
  )
  swapped = jnp.where(swap[:, None], delta[:, ::-1], delta)
  return jnp.where(signs, -swapped, swapped)


def _draw_scale(rng: np.random.Generator, scales: tuple[float, float]) -> float:
  return float(np.exp(rng.uniform(*np.log(scales))))


def _smooth_noise(
  rng: np.random.Generator, size: tuple[int, int], scale: float
) -> np.ndarray:
  """Smoothed noise [H, W] of mean 0 and variance 1."""
  scale = min(scale, _MAX_SHARE * min(size))
  noise = scipy.ndimage.gaussian_filter(
    rng.standard_normal(size), scale, mode='wrap'
  )
  return (noise - noise.mean()) / noise.std()


def _move(plane: np.ndarray, delta: np.ndarray, part: np.ndarray) -> np.ndarray:
  """The plane looked up at delta, the last `part` of it by a cubic."""
  rows, columns = np.indices(plane.shape, dtype=np.float32)
  at = [rows + delta[..., 1] - part[1], columns + delta[..., 0] - part[0]]
  moved = scipy.ndimage.map_coordinates(
    plane, at, order=_SPLINE_ORDER, mode='mirror'
  )
  flow = jnp.broadcast_to(jnp.asarray(part, jnp.float32), delta.shape)
  return np.asarray(warp.warp(jnp.asarray(moved)[..., None], flow)[0][..., 0])


def _flat(planes: Sequence[np.ndarray]) -> Array:
  return jnp.concatenate([jnp.asarray(plane.ravel()) for plane in planes])
