"""Samples, modes and exact densities of the flow of single pixels.

Each pixel is alone, without its neighbours, so the posterior has all its
ambiguity: along an edge, in a repeated pattern, in a flat area.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.pixel_posteriors import noise_between
from internal_diffusion.data import warp
from internal_diffusion.diffusion import schedules
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import likelihood, samplers

Array = jax.Array

_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0  # In prior standard deviations.
_NUM_STEPS = 12  # Heun steps of a sample.
_NUM_DENSITY_STEPS = 48
_CHUNK = 4096  # Number of pixels at once.
_NUM_MODE_SAMPLES = 8


@with_own_settings
def sample_pixels(
  key: Array,
  model: FlowModel,
  first: Array,
  second: Array,
  flow: np.ndarray,
  *,
  points: np.ndarray,
  num_samples: int,
) -> np.ndarray:
  """Samples of the flow of single pixels, each alone.

  Args:
    key: One key.
    model: Model of displacements.
    first: Smoothed luminance of the first frame, [H, W]; see
      `frames.smooth_grey`.
    second: Smoothed luminance of the second frame, [H, W].
    flow: Flow (u, v) that the second frame is warped by, [H, W, 2].
    points: Pixels (x, y), integers [N, 2].
    num_samples: Number K of samples of each pixel.

  Returns:
    Flows (u, v) in pixels, [N, K, 2].

  Raises:
    ValueError: If a point lies outside the frame, or `num_samples` is not a
      positive integer.
  """
  arrays.check_positive_int('num_samples', num_samples)
  check_points(points, first.shape)
  warped = _warp(second, jnp.asarray(flow))
  chunks = []
  for start in range(0, len(points), _CHUNK):
    chunk = points[start : start + _CHUNK]
    # All chunks have one shape, which compiles once.
    size = min(_CHUNK, len(points))
    padded = np.pad(chunk, ((0, size - len(chunk)), (0, 0)))
    delta = _sample_deltas(
      jax.random.fold_in(key, start),
      model,
      first,
      warped,
      jnp.asarray(padded, jnp.int32),
      num_samples=num_samples,
    )
    chunks.append(np.asarray(delta)[: len(chunk)])
  centre = np.asarray(flow)[points[:, 1], points[:, 0]]
  return centre[:, None] - np.concatenate(chunks)


def pixel_modes(
  key: Array, model: FlowModel, first: Array, second: Array, flow: np.ndarray
) -> np.ndarray:
  """Modes of the flow of each pixel alone, (u, v), [H, W, 2].

  Args:
    key: One key.
    model: Model of displacements.
    first: Smoothed luminance of the first frame, [H, W].
    second: Smoothed luminance of the second frame, [H, W].
    flow: Flow (u, v) that the second frame is warped by, [H, W, 2].
  """
  height, width = flow.shape[:2]
  y, x = np.indices((height, width)).reshape(2, -1)
  samples = sample_pixels(
    key,
    model,
    first,
    second,
    flow,
    points=np.stack([x, y], axis=-1),
    num_samples=_NUM_MODE_SAMPLES,
  )
  return densest(samples).reshape(height, width, 2)


def densest(samples: np.ndarray) -> np.ndarray:
  """The sample of highest density among samples [N, K, 2], [N, 2].

  The density is that of a Gaussian kernel of Scott's (1992) width.
  """
  num = samples.shape[1]
  width = samples.std(axis=1, keepdims=True) * num ** (-1 / 6)
  scaled = samples / np.maximum(width, 1e-6)
  density = np.zeros(samples.shape[:2])
  for index in range(num):
    offset = scaled - scaled[:, index : index + 1]
    density += np.exp(-np.sum(offset**2, axis=-1) / 2)
  best = density.argmax(axis=1)
  return samples[np.arange(len(samples)), best]


@with_own_settings
def log_density(
  model: FlowModel,
  first: Array,
  second: Array,
  flow: np.ndarray,
  *,
  points: np.ndarray,
  candidates: np.ndarray,
) -> np.ndarray:
  """Exact log densities of flows of single pixels.

  Args:
    model: Model of displacements.
    first: Smoothed luminance of the first frame, [H, W].
    second: Smoothed luminance of the second frame, [H, W].
    flow: Flow (u, v) that the second frame is warped by, [H, W, 2].
    points: Pixels (x, y), integers [N, 2].
    candidates: Flows (u, v), [N, M, 2].

  Returns:
    Log densities in nats, of densities in 1 / pixels^2, [N, M].

  Raises:
    ValueError: If a point lies outside the frame.
  """
  check_points(points, first.shape)
  delta = np.asarray(flow)[points[:, 1], points[:, 0]][:, None] - candidates
  found = _log_densities(
    model,
    first,
    _warp(second, jnp.asarray(flow)),
    jnp.asarray(points, jnp.int32),
    jnp.asarray(delta, jnp.float32),
  )
  return np.asarray(found)


def check_points(points: np.ndarray, size: tuple[int, ...]) -> None:
  """Raises ValueError unless all (x, y) are pixels of a frame (H, W)."""
  inside = (points >= 0) & (points < np.array(size[1::-1]))
  if points.ndim != 2 or points.shape[1] != 2 or not inside.all():
    raise ValueError(
      f'`points` must be (x, y) within {size[1]}x{size[0]} pixels, got'
      f' {points[~inside.all(axis=-1)][:3].tolist()}.'
    )


@jax.jit
def _warp(grey: Array, flow: Array) -> Array:
  return warp.warp(grey[..., None], flow)[0][..., 0]


@functools.partial(jax.jit, static_argnames='num_samples')
def _sample_deltas(
  key: Array,
  model: FlowModel,
  first: Array,
  warped: Array,
  points: Array,
  *,
  num_samples: int,
) -> Array:
  vector = _vectors(model, first, warped, points)
  sigmas = model.stddev * schedules.karras_sigmas(
    _NUM_STEPS, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )

  def sample(key: Array) -> Array:
    noise = sigmas[0] * jax.random.normal(key, (len(points), 2))
    return samplers.sample_heun(key, model.given(vector), noise, sigmas)

  found = jax.lax.map(sample, jax.random.split(key, num_samples))
  return jnp.moveaxis(found, 0, 1)


@jax.jit
def _log_densities(
  model: FlowModel, first: Array, warped: Array, points: Array, delta: Array
) -> Array:
  vector = _vectors(model, first, warped, points)
  num, each = delta.shape[:2]
  sigmas = model.stddev * np.geomspace(
    _SIGMA_MIN, _SIGMA_MAX, _NUM_DENSITY_STEPS
  )
  found = likelihood.log_density(
    model.given(jnp.repeat(vector, each, axis=0)),
    delta.reshape(-1, 2),
    sigmas,
  )
  return found.reshape(num, each)


def _vectors(
  model: FlowModel, first: Array, warped: Array, points: Array
) -> Array:
  """Condition vectors of the pairs of patches around points, [N, K]."""
  size = model.patch_size
  steps = jnp.arange(size)
  rows, columns = (
    points[:, 1, None] + steps[None],
    points[:, 0, None] + steps[None],
  )
  source, target = (
    jnp.pad(frame, size // 2, mode='reflect')[
      rows[:, :, None], columns[:, None, :]
    ].reshape(len(points), -1)
    for frame in (first, warped)
  )
  noise = noise_between(model, first, warped)
  return model.encode(source, target, jnp.full(len(points), noise))
