"""Samples of an upscaled plane: the mean, and what it leaves, drawn.

The rest is drawn by Heun's method over planes. At each evaluation, blocks are
denoised given their sources and averaged where they overlap.
"""

import functools

import jax
import jax.numpy as jnp

from internal_diffusion.applications.upscaler import (
  LargerPlane,
  Upscaler,
  degradation_of,
  in_chunks,
  of_sources,
  project,
)
from internal_diffusion.data.upscaling_pairs import SourceEncoding, block_size
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling.overlapping_blocks import (
  average_blocks,
  extract_blocks,
  place_sparse,
  take_sparse,
)
from internal_diffusion.sampling.samplers import sample_heun
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array

# Of the rest of a plane in [-1, 1], from one grey level of an 8-bit image on.
_SIGMA_MIN, _SIGMA_MAX = 1 / 127.5, 0.3


@functools.partial(
  jax.jit, static_argnames=('denoise_fn', 'factor', 'reach', 'source_size')
)
def _sample_rest(
  key: Array,
  low: Array,
  encoding: SourceEncoding,
  params: Params,
  sigmas: Array,
  *,
  denoise_fn: ParametricDenoiseFn,
  factor: int,
  reach: int,
  source_size: int,
) -> Array:
  """What the mean leaves of a high plane, one sample [s h, s w]."""
  noise_key, offset_key, sample_key = jax.random.split(key, 3)
  # Neighbouring blocks say much the same: one of `stride` each way is enough.
  stride = reach + 1
  offset = jax.random.randint(offset_key, (2,), 0, stride)

  height, width = low.shape
  all_places = jnp.arange(low.size).reshape(height, width, 1)
  places = take_sparse(all_places, offset, stride=stride)
  grid = places.shape[:2]
  features, contrast = of_sources(
    lambda z, contrast: (z @ encoding.features, contrast),
    low,
    places.ravel(),
    source_size,
  )

  def plane_of(blocks: Array) -> Array:
    placed = place_sparse(blocks, offset, stride=stride, shape=(height, width))
    return average_blocks(placed, factor=factor, reach=reach)

  block_dim = block_size(factor, reach) ** 2
  share = plane_of(jnp.ones((*grid, block_dim)))

  def plane_fn(x: Array, sigma: Array) -> Array:
    blocks = extract_blocks(x[0], factor=factor, reach=reach)
    blocks = take_sparse(blocks, offset, stride=stride)

    def one_chunk(block: Array, features: Array, contrast: Array) -> Array:
      level = sigma / contrast[:, 0]
      cond = Condition(vector=features)
      return contrast * denoise_fn(params, block / contrast, level, cond)

    denoised = in_chunks(
      one_chunk, blocks.reshape(-1, block_dim), features, contrast
    )
    return (plane_of(denoised.reshape(blocks.shape)) / share)[None]

  high = (1, factor * height, factor * width)
  x = sigmas[0] * jax.random.normal(noise_key, high)
  return sample_heun(sample_key, plane_fn, x, sigmas)[0]


def sample_plane(
  key: Array, upscaler: Upscaler, larger: LargerPlane, *, num_steps: int
) -> Array:
  """A sample [s h, s w] of an upscaled plane.

  Args:
    key: One key.
    upscaler: With a model of the rest.
    larger: The plane, upscaled.
    num_steps: Heun steps.

  Raises:
    ValueError: If there is no model of the rest.
  """
  if upscaler.rest is None:
    raise ValueError('`upscaler` has no model to sample from, only the mean.')
  rest = _sample_rest(
    key,
    larger.low,
    upscaler.encoding,
    upscaler.rest.params,
    karras_sigmas(num_steps, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX),
    denoise_fn=upscaler.rest.denoise_fn,
    factor=upscaler.factor,
    reach=upscaler.reach,
    source_size=upscaler.source_size,
  )
  return project(
    larger.mean + rest, larger.low, degradation_of(upscaler, larger.low)
  )
