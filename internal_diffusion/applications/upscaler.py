"""What super-resolution has learnt of an image, and what it says of a plane.

What is missing in the antialiased bicubic upscaling of a plane is, block by
block, the sum of three parts: what a linear map says, what a regression says,
and the rest, which nothing in the source tells. The first two are the
conditional mean, the estimate of least squared error. The rest is drawn by a
conditional diffusion model of the blocks' rest given the source, lifted to
planes: blocks are denoised and averaged where they overlap. With x = mean +
noise, the denoiser of the whole is

  D(x; sigma) = mean + D_rest(x - mean; sigma),

which is the mean where the noise drowns everything. Regression and rest are
learnt, or the closed form's over the pairs themselves.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import degradation as degradation_lib
from internal_diffusion.data import upscaling_pairs
from internal_diffusion.data.symmetry import pixel_orders
from internal_diffusion.data.upscaling_pairs import SourceEncoding
from internal_diffusion.denoisers.kernel_regression import KernelRegression
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling.overlapping_blocks import (
  average_blocks,
  extract_blocks,
  place_sparse,
  take_sparse,
)
from internal_diffusion.sampling.samplers import sample_heun
from internal_diffusion.training import regression
from internal_diffusion.types import Condition, ParametricDenoiseFn

Array = jax.Array

_CHUNK = 8192  # Sources on the device at once.
# Of the rest of a plane in [-1, 1], from one grey level of an 8-bit image on.
_SIGMA_MIN, _SIGMA_MAX = 1 / 127.5, 0.3


class RestModel(NamedTuple):
  """A model of what the mean leaves of normalised blocks.

  Attributes:
    denoise_fn: Of blocks; the condition's vector holds the features.
    params: What it has learnt, or looks up.
  """

  denoise_fn: ParametricDenoiseFn
  params: Any


class Upscaler(NamedTuple):
  """What was learnt from a plane.

  Attributes:
    factor: By which the network upscales.
    source_size: S.
    reach: Of blocks, in low pixels.
    encoding: Of sources.
    network: From features to normalised blocks, the regression.
    params: Its parameters.
    rest: The model of what the mean leaves, or None.
    kernel: Blur of the degradation, or None.
  """

  factor: int
  source_size: int
  reach: int
  encoding: SourceEncoding
  network: regression.RegressionMLP | KernelRegression
  params: Any
  rest: RestModel | None
  kernel: np.ndarray | None


class Sources(NamedTuple):
  """The sources of a low plane.

  Attributes:
    features: [h * w, F].
    contrast: [h * w, 1].
  """

  features: Array
  contrast: Array


class LargerPlane(NamedTuple):
  """A plane, upscaled.

  Attributes:
    mean: [s h, s w].
    sources: Of the low plane.
    low: The low plane, [h, w].
  """

  mean: Array
  sources: Sources
  low: Array


def _in_chunks(fn: Callable[..., Any], *rows: Array) -> Any:
  """`fn` of arrays [N, ...], a bounded number of rows at a time."""
  num = len(rows[0])
  size = min(_CHUNK, num)

  def chunks(array: Array) -> Array:
    pad = [(0, -num % size)] + [(0, 0)] * (array.ndim - 1)
    padded = jnp.pad(array, pad, mode='edge')
    return padded.reshape(-1, size, *array.shape[1:])

  made = jax.lax.map(lambda parts: fn(*parts), tuple(map(chunks, rows)))
  return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num], made)


def _sources(low: Array, source_size: int) -> Array:
  """The sources of a low plane [h, w], [h * w, S*S]."""
  half = source_size // 2
  padded = jnp.pad(low, half, mode='edge')
  views = [
    padded[i : i + low.shape[0], j : j + low.shape[1]]
    for i, j in np.ndindex(source_size, source_size)
  ]
  return jnp.stack(views, axis=-1).reshape(-1, source_size**2)


@functools.partial(
  jax.jit, static_argnames=('source_size', 'network', 'num_orientations')
)
def _predict(
  low: Array,
  encoding: SourceEncoding,
  params: Any,
  *,
  source_size: int,
  network: regression.RegressionMLP | KernelRegression,
  num_orientations: int,
) -> tuple[Array, Sources]:
  """The blocks [h, w, T*T] that are missing in a low plane [h, w], the mean.

  The mean over so many of the orientations that a source can be shown in.
  """
  block_dim = encoding.linear.shape[-1]
  source_orders = jnp.asarray(pixel_orders(source_size)[:num_orientations])
  # Back from the block of a turned source.
  orders = pixel_orders(round(block_dim**0.5))[:num_orientations]
  back = np.argsort(orders, axis=-1)

  def blocks_of(source: Array) -> tuple[Array, Sources]:
    z, contrast = upscaling_pairs.normalise(source)

    def turned(orders: tuple[Array, Array]) -> Array:
      order, inverse = orders
      seen = z[:, order] @ encoding.features
      return cast(Array, network.apply(params, seen))[:, inverse]

    predicted = jax.lax.map(turned, (source_orders, jnp.asarray(back)))
    blocks = z @ encoding.linear + jnp.mean(predicted, axis=0)
    return contrast * blocks, Sources(z @ encoding.features, contrast)

  blocks, sources = _in_chunks(blocks_of, _sources(low, source_size))
  return blocks.reshape(*low.shape, block_dim), sources


@functools.partial(
  jax.jit, static_argnames=('denoise_fn', 'factor', 'reach', 'shape')
)
def _sample_rest(
  key: Array,
  params: Any,
  sources: Sources,
  sigmas: Array,
  *,
  denoise_fn: ParametricDenoiseFn,
  factor: int,
  reach: int,
  shape: tuple[int, int],
) -> Array:
  """What the mean leaves of a high plane, one sample [s h, s w]."""
  noise_key, offset_key, sample_key = jax.random.split(key, 3)
  # Neighbouring blocks say much the same: one of `stride` each way is enough.
  stride = reach + 1
  offset = jax.random.randint(offset_key, (2,), 0, stride)

  def taken(rows: Array) -> Array:
    grid = rows.reshape(*shape, rows.shape[-1])
    return take_sparse(grid, offset, stride=stride)

  features, contrast = map(taken, sources)
  grid = contrast.shape[:2]

  def plane_of(blocks: Array) -> Array:
    placed = place_sparse(blocks, offset, stride=stride, shape=shape)
    return average_blocks(placed, factor=factor, reach=reach)

  block_dim = (factor * (2 * reach + 1)) ** 2
  share = plane_of(jnp.ones((*grid, block_dim)))

  def plane_fn(x: Array, sigma: Array) -> Array:
    blocks = extract_blocks(x[0], factor=factor, reach=reach)
    blocks = take_sparse(blocks, offset, stride=stride)

    def one_chunk(block: Array, features: Array, contrast: Array) -> Array:
      level = sigma / contrast[:, 0]
      cond = Condition(vector=features)
      return contrast * denoise_fn(params, block / contrast, level, cond)

    rows = (a.reshape(-1, a.shape[-1]) for a in (blocks, features, contrast))
    denoised = _in_chunks(one_chunk, *rows)
    return (plane_of(denoised.reshape(blocks.shape)) / share)[None]

  high = (1, *(factor * side for side in shape))
  x = sigmas[0] * jax.random.normal(noise_key, high)
  return sample_heun(sample_key, plane_fn, x, sigmas)[0]


def upscale_plane(
  upscaler: Upscaler, low: Array, *, num_orientations: int = 8
) -> LargerPlane:
  """The mean of a plane [h, w] at the upscaler's factor.

  Args:
    upscaler: What was learnt.
    low: The plane.
    num_orientations: In how many orientations the network is shown a source.
  """
  missing, sources = _predict(
    low,
    upscaler.encoding,
    upscaler.params,
    source_size=upscaler.source_size,
    network=upscaler.network,
    num_orientations=num_orientations,
  )
  return LargerPlane(_with_missing(upscaler, low, missing), sources, low)


@functools.partial(jax.jit, static_argnames='source_size')
def _predict_linear(
  low: Array, encoding: SourceEncoding, *, source_size: int
) -> Array:
  """The blocks [h, w, T*T] that are missing, by the linear map alone."""

  def blocks_of(source: Array) -> Array:
    z, contrast = upscaling_pairs.normalise(source)
    return contrast * (z @ encoding.linear)

  blocks = _in_chunks(blocks_of, _sources(low, source_size))
  return blocks.reshape(*low.shape, -1)


def upscale_smooth_plane(upscaler: Upscaler, low: Array) -> Array:
  """A plane of colour differences [h, w], upscaled by the linear map alone.

  They are so smooth that what was learnt of luminance says no more of them.
  """
  missing = _predict_linear(
    low, upscaler.encoding, source_size=upscaler.source_size
  )
  return _with_missing(upscaler, low, missing)


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
    upscaler.rest.params,
    larger.sources,
    karras_sigmas(num_steps, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX),
    denoise_fn=upscaler.rest.denoise_fn,
    factor=upscaler.factor,
    reach=upscaler.reach,
    shape=(larger.low.shape[0], larger.low.shape[1]),
  )
  return _project(
    larger.mean + rest, larger.low, _degradation(upscaler, larger.low)
  )


def _with_missing(upscaler: Upscaler, low: Array, missing: Array) -> Array:
  """A low plane upscaled, with the blocks that the bicubic one lacks."""
  degradation = _degradation(upscaler, low)
  enlarged = degradation_lib.upscale(low[..., None], degradation)[..., 0]
  high = enlarged + average_blocks(
    missing, factor=upscaler.factor, reach=upscaler.reach
  )
  return _project(high, low, degradation)


def _degradation(upscaler: Upscaler, low: Array) -> degradation_lib.Degradation:
  height, width = low.shape
  return degradation_lib.make_degradation(
    (height, width),
    (upscaler.factor * height, upscaler.factor * width),
    kernel=upscaler.kernel,
  )


def _project(
  high: Array, low: Array, degradation: degradation_lib.Degradation
) -> Array:
  """A plane that becomes the low one when downscaled."""
  projected = back_project(high[..., None], low[..., None], degradation)
  return projected[..., 0]


back_project = jax.jit(
  degradation_lib.back_project, static_argnames='num_steps'
)
