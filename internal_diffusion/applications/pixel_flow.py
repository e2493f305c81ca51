"""What single pixels say of their flow: samples, mode and density.

Before any agreement with neighbours, so with all its ambiguity: along an edge,
at a repeated pattern, where nothing is to be seen.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications import flow_model
from internal_diffusion.applications.flow_model import FlowModel
from internal_diffusion.data import warp
from internal_diffusion.diffusion import schedules
from internal_diffusion.sampling import likelihood, samplers
from internal_diffusion.types import BoundDenoiseFn, Condition

Array = jax.Array

# Noise levels, in standard deviations of a displacement before anything is
# seen.
_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0
_NUM_STEPS = 12  # Of Heun's method, for samples.
_NUM_DENSITY_STEPS = 48
_CHUNK = 4096  # Pixels at once.


def sample_pixels(
  key: Array,
  model: FlowModel,
  first: Array,
  second: Array,
  flow: Array,
  *,
  points: np.ndarray,
  num_samples: int,
) -> np.ndarray:
  """Samples of the flow of single pixels, each by itself.

  Args:
    key: Of the noise.
    model: What knows of displacements.
    first: Grey, [H, W].
    second: Grey, [H, W].
    flow: Around which the model looks, (u, v), [H, W, 2].
    points: Pixels (x, y), whole numbers, [N, 2].
    num_samples: K.

  Returns:
    (u, v) in pixels, [N, K, 2].

  Raises:
    ValueError: If a point is outside of the frame, or there is no sample.
  """
  arrays.check_positive_int('num_samples', num_samples)
  check_points(points, first.shape)
  warped = warp.warp(second[..., None], flow)[0][..., 0]
  chunks = []
  for start in range(0, len(points), _CHUNK):
    chunk = jnp.asarray(points[start : start + _CHUNK])
    # One shape, so that nothing is compiled twice.
    size = min(_CHUNK, len(points))
    padded = jnp.pad(chunk, ((0, size - len(chunk)), (0, 0)))
    delta = _sample_deltas(
      jax.random.fold_in(key, start),
      model,
      first,
      warped,
      padded,
      num_samples=num_samples,
    )
    chunks.append(np.asarray(delta[: len(chunk)]))
  around = np.asarray(flow)[points[:, 1], points[:, 0]]
  return around[:, None] - np.concatenate(chunks)


def densest(samples: np.ndarray) -> np.ndarray:
  """Of samples [N, K, 2] the one where they are densest, [N, 2].

  By a Gaussian kernel of Scott's (1992) width.
  """
  num = samples.shape[1]
  spread = samples.std(axis=1, keepdims=True) * num ** (-1 / 6)
  scaled = samples / np.maximum(spread, 1e-6)
  density = np.zeros(samples.shape[:2])
  for index in range(num):
    offset = scaled - scaled[:, index : index + 1]
    density += np.exp(-np.sum(offset**2, axis=-1) / 2)
  best = density.argmax(axis=1)
  return samples[np.arange(len(samples)), best]


def log_density(
  model: FlowModel,
  first: Array,
  second: Array,
  flow: Array,
  *,
  points: np.ndarray,
  candidates: np.ndarray,
) -> np.ndarray:
  """The exact log density of flows of single pixels.

  Args:
    model: What knows of displacements.
    first: Grey, [H, W].
    second: Grey, [H, W].
    flow: Around which the model looks, (u, v), [H, W, 2].
    points: Pixels (x, y), whole numbers, [N, 2].
    candidates: Flows (u, v), [N, M, 2].

  Returns:
    In nats, of a density in 1 / pixels^2, [N, M].

  Raises:
    ValueError: If a point is outside of the frame.
  """
  check_points(points, first.shape)
  warped = warp.warp(second[..., None], flow)[0][..., 0]
  delta = np.asarray(flow)[points[:, 1], points[:, 0]][:, None] - candidates
  found = _log_densities(
    model, first, warped, jnp.asarray(points), jnp.asarray(delta, jnp.float32)
  )
  return np.asarray(found)


def check_points(points: np.ndarray, size: tuple[int, ...]) -> None:
  """Raises ValueError unless all (x, y) are pixels of a frame (H, W)."""
  inside = (points >= 0) & (points < np.array(size[1::-1]))
  if points.ndim != 2 or points.shape[1] != 2 or not inside.all():
    raise ValueError(
      f'Points must be (x, y) within {size[1]}x{size[0]} pixels, got'
      f' {points[~inside.all(axis=-1)][:3].tolist()}.'
    )


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
    return samplers.sample_heun(key, _bind(model, vector), noise, sigmas)

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
    _bind(model, jnp.repeat(vector, each, axis=0)),
    delta.reshape(-1, 2),
    sigmas,
  )
  return found.reshape(num, each)


def _bind(model: FlowModel, vector: Array) -> BoundDenoiseFn:
  cond = Condition(vector=vector)
  return lambda x, sigma: model.denoise_fn(model.params, x, sigma, cond)


def _vectors(
  model: FlowModel, first: Array, warped: Array, points: Array
) -> Array:
  """The conditions of the pairs of patches around points, [N, K]."""
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
  noise = flow_model.noise_between(model, first, warped)
  return model.encode_fn(
    model.params, source, target, jnp.full(len(points), noise)
  )
