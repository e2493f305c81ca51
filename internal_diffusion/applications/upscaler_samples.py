"""Samples of what the mean of an upscaled plane leaves.

They are drawn by Heun's method over planes, in units of their deviation. At
each evaluation, blocks are denoised given their sources and averaged where they
overlap.
"""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp

from internal_diffusion.applications.upscaler import (
  RestModel,
  Upscaler,
  degradation_of,
  in_chunks,
  of_sources,
  project,
)
from internal_diffusion.data.upscaling_pairs import SourceEncoding, block_size
from internal_diffusion.denoisers.kernel_regression import KernelDeviation
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling.overlapping_blocks import (
  average_blocks,
  extract_blocks,
  place_sparse,
  take_sparse,
)
from internal_diffusion.sampling.samplers import sample_heun
from internal_diffusion.training.deviation import DeviationMLP
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array

# Noise levels, in deviations.
_SIGMA_MIN, _SIGMA_MAX = 0.2, 6.0


@functools.partial(
  jax.jit, static_argnames=('deviation', 'factor', 'reach', 'source_size')
)
def _deviation(
  low: Array,
  encoding: SourceEncoding,
  params: Any,
  *,
  deviation: DeviationMLP | KernelDeviation,
  factor: int,
  reach: int,
  source_size: int,
) -> Array:
  def blocks_of(z: Array, contrast: Array) -> Array:
    return contrast * cast(
      Array, deviation.apply(params, z @ encoding.features)
    )

  blocks = of_sources(blocks_of, low, jnp.arange(low.size), source_size)
  return average_blocks(
    blocks.reshape(*low.shape, -1), factor=factor, reach=reach
  )


def deviation_of(upscaler: Upscaler, low: Array) -> Array:
  """How far the truth lies from the mean of an upscaled plane, about.

  Args:
    upscaler: With a model of the rest.
    low: The plane, [h, w].

  Returns:
    [s h, s w], above 0.

  Raises:
    ValueError: If there is no model of the rest.
  """
  rest = _rest_of(upscaler)
  return _deviation(
    low,
    upscaler.encoding,
    rest.deviation_params,
    deviation=rest.deviation,
    factor=upscaler.factor,
    reach=upscaler.reach,
    source_size=upscaler.source_size,
  )


@functools.partial(
  jax.jit, static_argnames=('denoise_fn', 'factor', 'reach', 'source_size')
)
def _sample(
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
  """A sample [s h, s w], in units of the deviation."""
  noise_key, offset_key, sample_key = jax.random.split(key, 3)
  # Neighbouring blocks say much the same: one of `stride` each way is enough.
  stride = reach + 1
  offset = jax.random.randint(offset_key, (2,), 0, stride)

  height, width = low.shape
  all_places = jnp.arange(low.size).reshape(height, width, 1)
  places = take_sparse(all_places, offset, stride=stride)
  grid = places.shape[:2]
  features = of_sources(
    lambda z, _: z @ encoding.features, low, places.ravel(), source_size
  )

  def plane_of(blocks: Array) -> Array:
    placed = place_sparse(blocks, offset, stride=stride, shape=(height, width))
    return average_blocks(placed, factor=factor, reach=reach)

  block_dim = block_size(factor, reach) ** 2
  share = plane_of(jnp.ones((*grid, block_dim)))

  def plane_fn(x: Array, sigma: Array) -> Array:
    blocks = extract_blocks(x[0], factor=factor, reach=reach)
    blocks = take_sparse(blocks, offset, stride=stride)

    def one_chunk(block: Array, features: Array) -> Array:
      level = jnp.broadcast_to(sigma, len(block))
      return denoise_fn(params, block, level, Condition(vector=features))

    denoised = in_chunks(one_chunk, blocks.reshape(-1, block_dim), features)
    return (plane_of(denoised.reshape(blocks.shape)) / share)[None]

  high = (1, factor * height, factor * width)
  x = sigmas[0] * jax.random.normal(noise_key, high)
  return sample_heun(sample_key, plane_fn, x, sigmas)[0]


def sample_rest(
  key: Array,
  upscaler: Upscaler,
  low: Array,
  deviation: Array,
  *,
  num_steps: int,
) -> Array:
  """A sample of what the mean of an upscaled plane leaves.

  Args:
    key: One key.
    upscaler: With a model of the rest.
    low: The plane, [h, w].
    deviation: What `deviation_of` says of it, [s h, s w].
    num_steps: Heun steps.

  Returns:
    [s h, s w], which downscaled is 0.

  Raises:
    ValueError: If there is no model of the rest.
  """
  rest = _rest_of(upscaler)
  drawn = _sample(
    key,
    low,
    upscaler.encoding,
    rest.params,
    karras_sigmas(num_steps, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX),
    denoise_fn=rest.denoise_fn,
    factor=upscaler.factor,
    reach=upscaler.reach,
    source_size=upscaler.source_size,
  )
  return project(
    deviation * drawn, jnp.zeros_like(low), degradation_of(upscaler, low)
  )


def _rest_of(upscaler: Upscaler) -> RestModel:
  if upscaler.rest is None:
    raise ValueError('`upscaler` has no model to sample from, only the mean.')
  return upscaler.rest
