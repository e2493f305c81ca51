"""Posteriors, samples, modes and densities of the flow of single pixels.

Each pixel is alone, without its neighbours, so the posterior has all its
ambiguity: along an edge, in a repeated pattern, in a flat area.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.flow import small_matrices
from internal_diffusion.applications.flow.frames import warp_plane
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.diffusion import schedules
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import likelihood, moments, samplers

Array = jax.Array

# In prior standard deviations. At the highest, x carries no information.
_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0
_NUM_STEPS = 12  # Heun steps of a sample.
_NUM_DENSITY_STEPS = 48
_CHUNK = 4096  # Number of pixels at once.
_NUM_MODE_SAMPLES = 8


class PixelPosteriors(NamedTuple):
  """Gaussian posteriors of displacements delta, of each pixel alone.

  Attributes:
    mean: Mean of the posterior in pixels, [..., 2].
    covariance: Covariance of the posterior, [..., 2, 2].
    precision: Precision of the likelihood, the posterior's less the prior's,
      [..., 2, 2].
  """

  mean: Array
  covariance: Array
  precision: Array


def pixel_posteriors(
  model: FlowModel, first: Array, second: Array
) -> PixelPosteriors:
  """Posteriors of all pixels of two frames [H, W].

  The frames are also swapped; the two results are averaged.
  """
  size, width = model.patch_size, first.shape[1]
  noise = jnp.full(width, _noise_between(model, first, second))
  padded = [jnp.pad(x, size // 2, mode='reflect') for x in (first, second)]

  def patches_of(plane: Array, row: Array) -> Array:
    strip = jax.lax.dynamic_slice_in_dim(plane, row, size)
    columns = [strip[:, i : i + width] for i in range(size)]
    return jnp.stack(columns, axis=1).reshape(size**2, width).T

  def posteriors_of_row(row: Array) -> PixelPosteriors:
    source, target = (patches_of(plane, row) for plane in padded)
    there, back = (
      _gaussian_posteriors(model, model.denoiser.encode(*pair, noise))
      for pair in ((source, target), (target, source))
    )
    back = back._replace(mean=-back.mean)
    return jax.tree.map(lambda one, other: (one + other) / 2, there, back)

  return jax.lax.map(posteriors_of_row, jnp.arange(first.shape[0]))


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
    first: Smoothed luminance of the first frame, [H, W]; see `smooth_grey`.
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
  warped = warp_plane(second, jnp.asarray(flow))
  # All chunks have one shape, which compiles once.
  size = min(_CHUNK, len(points))
  padded = np.pad(points, ((0, -len(points) % size), (0, 0)))
  deltas = [
    _sample_deltas(
      jax.random.fold_in(key, start),
      model,
      first,
      warped,
      jnp.asarray(padded[start : start + size], jnp.int32),
      num_samples=num_samples,
    )
    for start in range(0, len(points), size)
  ]
  centre = np.asarray(flow)[points[:, 1], points[:, 0]]
  return centre[:, None] - np.concatenate(deltas)[: len(points)]


def pixel_modes(
  key: Array, model: FlowModel, first: Array, second: Array, flow: np.ndarray
) -> np.ndarray:
  """Modes of the flow of each pixel alone, (u, v), [H, W, 2].

  Arguments as in `sample_pixels`.
  """
  y, x = np.indices(flow.shape[:2]).reshape(2, -1)
  points = np.stack([x, y], axis=-1)
  samples = sample_pixels(
    key,
    model,
    first,
    second,
    flow,
    points=points,
    num_samples=_NUM_MODE_SAMPLES,
  )
  return densest(samples).reshape(flow.shape)


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
    first: Smoothed luminance of the first frame, [H, W]; see `smooth_grey`.
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
  warped = warp_plane(second, jnp.asarray(flow))
  found = _log_densities(
    model,
    first,
    warped,
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
  denoise_fn = model.given(_encode_at(model, first, warped, points))
  sigmas = model.stddev * schedules.karras_sigmas(
    _NUM_STEPS, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )

  def sample(key: Array) -> Array:
    noise = sigmas[0] * jax.random.normal(key, points.shape)
    return samplers.sample_heun(key, denoise_fn, noise, sigmas)

  found = jax.lax.map(sample, jax.random.split(key, num_samples))
  return jnp.moveaxis(found, 0, 1)


@jax.jit
def _log_densities(
  model: FlowModel, first: Array, warped: Array, points: Array, delta: Array
) -> Array:
  sigmas = np.geomspace(_SIGMA_MIN, _SIGMA_MAX, _NUM_DENSITY_STEPS)
  vector = _encode_at(model, first, warped, points)
  denoise_fn = model.given(jnp.repeat(vector, delta.shape[1], axis=0))
  found = likelihood.log_density(
    denoise_fn, delta.reshape(-1, 2), model.stddev * sigmas
  )
  return found.reshape(delta.shape[:2])


def _encode_at(
  model: FlowModel, first: Array, warped: Array, points: Array
) -> Array:
  """The encoded pairs of patches around points, [N, K]."""
  size = model.patch_size
  steps = jnp.arange(size)[None]
  x, y = points[:, :1] + steps, points[:, 1:] + steps
  source, target = (
    jnp.pad(frame, size // 2, mode='reflect')[
      y[:, :, None], x[:, None, :]
    ].reshape(len(points), -1)
    for frame in (first, warped)
  )
  noise = jnp.full(len(points), _noise_between(model, first, warped))
  return model.denoiser.encode(source, target, noise)


def _gaussian_posteriors(model: FlowModel, vector: Array) -> PixelPosteriors:
  """Moments of encoded pairs [N, K] by one evaluation of the denoiser."""
  mean, covariance = moments.mean_and_covariance(
    model.given(vector),
    num=len(vector),
    dim=2,
    sigma_max=_SIGMA_MAX * model.stddev,
  )
  prior = model.stddev**-2 * jnp.eye(2)[None]
  # Rounding may make a very small precision negative.
  precision = small_matrices.nonnegative(
    small_matrices.inverse(covariance) - prior
  )
  return PixelPosteriors(mean, covariance, precision)


def _noise_between(model: FlowModel, first: Array, warped: Array) -> Array:
  """Noise level of two frames [H, W] of equal content, in the model's range.

  The median ignores the few pixels that do not match.
  """
  difference = warped - first
  difference -= jnp.median(difference)
  # The median of |N(0, 1)| is 0.6745; a difference has the noise of two frames.
  sigma = jnp.median(jnp.abs(difference)) / (0.6745 * np.sqrt(2))
  return jnp.clip(sigma, *model.sensor_noise)
