"""Training pairs of flow: a frame, and the frame moved along known fields.

Each level of the frame's pyramid is moved along random fields, so the
displacement of each patch is known. A patch of the frame (source), the patch at
the same place of the moved frame (target) and

  delta: displacement (x, y) from the source to the target's place in the frame

form a triplet. Content moves against delta, so the flow is -delta.

A field is smooth, often with a foreground of another motion. Interpolation
blurs where the displacement has a fraction of a pixel, and the blur would
reveal it. So a frame is moved in two steps: by a spline of fifth order, which
hardly blurs, along the field less a random fraction of a pixel, and then by
that fraction with the cubic that warps frames at estimation. The target then
has the blur of a warped second frame, which is independent of delta.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.flow.frames import warp_plane
from internal_diffusion.data.symmetry import pixel_orders
from internal_diffusion.diffusion import losses

Array = jax.Array

_SPLINE_ORDER = 5
_GAIN_STD = 0.05  # Standard deviation of the target's gain.
# Smallest and largest standard deviation, in pixels, of the Gaussian filters
# that make a field and the shape of its foreground.
_FIELD_SCALES = (8.0, 40.0)
_SHAPE_SCALES = (6.0, 20.0)
_MAX_SCALE = 0.2  # Bound on these scales, as a fraction of the shorter side.
_FOREGROUND_THRESHOLD = 0.3  # In standard deviations of the smooth noise.
_FOREGROUND_PROBABILITY = 0.7


class FlowPairs(NamedTuple):
  """Pairs of frames, the pixels of all F pairs concatenated.

  Attributes:
    source: Levels of the frame, once for each moved one, [N].
    target: Moved frames, [N].
    delta: Displacements (x, y) in pixels, [N, 2].
    start: Index of the first pixel of each pair, [F].
    size: Height and width of each pair, [F, 2].
    cumulative: Distribution function of the drawn pair, [F], the last 1.
  """

  source: Array
  target: Array
  delta: Array
  start: Array
  size: Array
  cumulative: Array


@dataclasses.dataclass(frozen=True)
class PairDraw:
  """Draw of triplets with the noise and gain of a camera.

  Attributes:
    patch_size: Side P of a patch, odd, at most the shortest side of the pairs.
    sensor_noise: Lowest and highest noise level of both patches.
  """

  patch_size: int
  sensor_noise: tuple[float, float]

  def __call__(
    self, key: Array, pairs: FlowPairs, num: int
  ) -> tuple[Array, Array, Array, Array]:
    """Sources, targets, deltas and noise levels [num] of noisy triplets."""
    pair_key, level_key, noise_key, gain_key = jax.random.split(key, 4)
    source, target, delta = sample_pairs(
      pair_key, pairs, num=num, patch_size=self.patch_size
    )
    sigma = losses.loguniform_sigma(
      jax.random.uniform(level_key, (num,)),
      sigma_min=self.sensor_noise[0],
      sigma_max=self.sensor_noise[1],
    )
    noise = jax.random.normal(noise_key, (2, *source.shape))
    noise *= sigma[None, :, None]
    gain = 1 + _GAIN_STD * jax.random.normal(gain_key, (num, 1))
    return source + noise[0], gain * target + noise[1], delta, sigma


def random_field(
  rng: np.random.Generator, size: tuple[int, int], *, stddev: float
) -> np.ndarray:
  """A smooth field of a size (H, W), often with a foreground of other motion.

  The standard deviation of a component is `stddev` pixels: half of the variance
  is common to all pixels, half varies between them.

  Returns:
    Displacements (x, y), [H, W, 2] float32.
  """

  def motion() -> np.ndarray:
    scale = _draw_scale(rng, _FIELD_SCALES)
    common = rng.standard_normal(2)
    changes = [_smooth_noise(rng, size, scale) for _ in range(2)]
    return stddev * np.sqrt(0.5) * (common + np.stack(changes, axis=-1))

  field = motion()
  if rng.uniform() < _FOREGROUND_PROBABILITY:
    noise = _smooth_noise(rng, size, _draw_scale(rng, _SHAPE_SCALES))
    field = np.where(noise[..., None] > _FOREGROUND_THRESHOLD, motion(), field)
  return field.astype(np.float32)


def build_pairs(
  levels: Sequence[np.ndarray],
  *,
  num_fields: int,
  stddev: float,
  seed: int = 0,
) -> FlowPairs:
  """Moves each level [h, w] along `num_fields` random fields.

  Their components have the standard deviation `stddev` in pixels of the level.
  """
  rng = np.random.default_rng(seed)
  sources, targets, deltas, sizes = [], [], [], []
  for level in levels:
    plane = np.asarray(level, np.float32)
    for _ in range(num_fields):
      delta = random_field(rng, plane.shape, stddev=stddev)
      sources.append(plane.ravel())
      targets.append(_move(plane, delta, rng.uniform(-0.5, 0.5, 2)).ravel())
      deltas.append(delta.reshape(-1, 2))
      sizes.append(plane.shape)
  num_pixels = np.prod(sizes, axis=1)
  # A compromise: coarse levels have few pixels and are as important.
  weight = np.sqrt(num_pixels.astype(np.float64))
  return FlowPairs(
    source=jnp.asarray(np.concatenate(sources)),
    target=jnp.asarray(np.concatenate(targets)),
    delta=jnp.asarray(np.concatenate(deltas)),
    start=jnp.asarray(np.cumsum(num_pixels) - num_pixels, jnp.int32),
    size=jnp.asarray(sizes, jnp.int32),
    cumulative=jnp.asarray(np.cumsum(weight / weight.sum()), jnp.float32),
  )


def sample_pairs(
  key: Array, pairs: FlowPairs, *, num: int, patch_size: int
) -> tuple[Array, Array, Array]:
  """Draws triplets in random orientations of the square.

  Returns:
    Sources [num, P*P], targets [num, P*P] and deltas (x, y) [num, 2].
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
  # No symmetry moves the central pixel.
  delta = pairs.delta[index[:, patch_size**2 // 2]]
  return pairs.source[index], pairs.target[index], _orient(delta, symmetry)


def _orient(delta: Array, symmetry: Array) -> Array:
  """Displacements (x, y) [N, 2] under symmetries of `pixel_orders` [N]."""
  swap = (symmetry[:, None] & 4) > 0
  signs = (symmetry[:, None] & jnp.array([[1, 2]])) > 0
  swapped = jnp.where(swap, delta[:, ::-1], delta)
  return jnp.where(signs, -swapped, swapped)


def _draw_scale(rng: np.random.Generator, scales: tuple[float, float]) -> float:
  return float(np.exp(rng.uniform(*np.log(scales))))


def _smooth_noise(
  rng: np.random.Generator, size: tuple[int, int], scale: float
) -> np.ndarray:
  """Smoothed noise [H, W] of mean 0 and variance 1."""
  scale = min(scale, _MAX_SCALE * min(size))
  noise = scipy.ndimage.gaussian_filter(
    rng.standard_normal(size), scale, mode='wrap'
  )
  return (noise - noise.mean()) / noise.std()


def _move(
  plane: np.ndarray, delta: np.ndarray, fraction: np.ndarray
) -> np.ndarray:
  """The plane sampled at delta, the last `fraction` of it by a cubic."""
  rows, columns = np.indices(plane.shape, dtype=np.float32)
  points = [
    rows + delta[..., 1] - fraction[1],
    columns + delta[..., 0] - fraction[0],
  ]
  moved = scipy.ndimage.map_coordinates(
    plane, points, order=_SPLINE_ORDER, mode='mirror'
  )
  shift = np.broadcast_to(fraction.astype(np.float32), delta.shape)
  return np.asarray(warp_plane(jnp.asarray(moved), jnp.asarray(shift)))
