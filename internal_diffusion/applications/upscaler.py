"""What super-resolution has learnt of an image, and what it says of a plane.

What is missing in the antialiased bicubic upscaling of a plane is, block by
block, the sum of three parts: what a linear map says, what a regression says,
and the rest, which nothing in the source tells. The first two are the
conditional mean, the estimate of least squared error. The rest is small on flat
ground and large at an edge, so a second regression says its deviation, pixel by
pixel, and in units of that it is drawn by a conditional diffusion model given
the source, lifted to planes: blocks are denoised and averaged where they
overlap. With x = mean + deviation * noise, the denoiser of the whole is

  D(x; sigma) = mean + deviation * D_rest((x - mean) / deviation; sigma),

which is the mean where the noise drowns everything. Regressions and rest are
learnt, or the closed form's over the pairs themselves.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import operators, upscaling_pairs
from internal_diffusion.data.symmetry import pixel_orders
from internal_diffusion.data.upscaling_pairs import SourceEncoding
from internal_diffusion.denoisers.kernel_regression import (
  KernelDeviation,
  KernelRegression,
)
from internal_diffusion.sampling.overlapping_blocks import average_blocks
from internal_diffusion.training import regression
from internal_diffusion.training.deviation import DeviationMLP
from internal_diffusion.types import ParametricDenoiseFn

Array = jax.Array

_CHUNK = 8192  # Sources on the device at once.


class RestModel(NamedTuple):
  """A model of what the mean leaves of normalised blocks.

  Attributes:
    deviation: From features to the deviation of each pixel of a block.
    deviation_params: Its parameters.
    denoise_fn: Of blocks in units of the deviation; the condition's vector
      holds the features.
    params: What it has learnt, or looks up.
  """

  deviation: DeviationMLP | KernelDeviation
  deviation_params: Any
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


def in_chunks(fn: Callable[..., Any], *rows: Array) -> Any:
  """`fn` of arrays [N, ...], a bounded number of rows at a time."""
  num = len(rows[0])
  size = min(_CHUNK, num)

  def chunks(array: Array) -> Array:
    pad = [(0, -num % size)] + [(0, 0)] * (array.ndim - 1)
    padded = jnp.pad(array, pad, mode='edge')
    return padded.reshape(-1, size, *array.shape[1:])

  made = jax.lax.map(lambda parts: fn(*parts), tuple(map(chunks, rows)))
  return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num], made)


def of_sources(
  fn: Callable[..., Any], low: Array, places: Array, source_size: int
) -> Any:
  """`fn` of the sources at places of a low plane, a bounded number at a time.

  Args:
    fn: Of normalised sources [n, S*S] and their contrast [n, 1].
    low: [h, w].
    places: Pixels of the plane, numbered row by row, [N].
    source_size: S.
  """
  padded = jnp.pad(low, source_size // 2, mode='edge')
  down, right = np.indices((source_size, source_size)).reshape(2, 1, -1)

  def one_chunk(place: Array) -> Any:
    row, column = jnp.divmod(place[:, None], low.shape[1])
    source = padded[row + down, column + right]
    return fn(*upscaling_pairs.normalise(source))

  return in_chunks(one_chunk, places)


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
) -> Array:
  """The blocks [h, w, T*T] that are missing in a low plane [h, w], the mean.

  The mean over so many of the orientations that a source can be shown in.
  """
  block_dim = encoding.linear.shape[-1]
  source_orders = jnp.asarray(pixel_orders(source_size)[:num_orientations])
  # Back from the block of a turned source.
  orders = pixel_orders(round(block_dim**0.5))[:num_orientations]
  back = np.argsort(orders, axis=-1)

  def blocks_of(z: Array, contrast: Array) -> Array:
    def turned(orders: tuple[Array, Array]) -> Array:
      order, inverse = orders
      seen = z[:, order] @ encoding.features
      return cast(Array, network.apply(params, seen))[:, inverse]

    predicted = jax.lax.map(turned, (source_orders, jnp.asarray(back)))
    return contrast * (z @ encoding.linear + jnp.mean(predicted, axis=0))

  blocks = of_sources(blocks_of, low, jnp.arange(low.size), source_size)
  return cast(Array, blocks).reshape(*low.shape, block_dim)


def upscale_plane(
  upscaler: Upscaler, low: Array, *, num_orientations: int = 8
) -> Array:
  """The mean of a plane [h, w] at the upscaler's factor.

  Args:
    upscaler: What was learnt.
    low: The plane.
    num_orientations: In how many orientations the network is shown a source.
  """
  missing = _predict(
    low,
    upscaler.encoding,
    upscaler.params,
    source_size=upscaler.source_size,
    network=upscaler.network,
    num_orientations=num_orientations,
  )
  return _with_missing(upscaler, low, missing)


@functools.partial(jax.jit, static_argnames='source_size')
def _predict_linear(
  low: Array, encoding: SourceEncoding, *, source_size: int
) -> Array:
  """The blocks [h, w, T*T] that are missing, by the linear map alone."""

  def blocks_of(z: Array, contrast: Array) -> Array:
    return contrast * (z @ encoding.linear)

  blocks = of_sources(blocks_of, low, jnp.arange(low.size), source_size)
  return cast(Array, blocks).reshape(*low.shape, -1)


def upscale_smooth_plane(upscaler: Upscaler, low: Array) -> Array:
  """A plane of colour differences [h, w], upscaled by the linear map alone.

  They are so smooth that what was learnt of luminance says no more of them.
  """
  missing = _predict_linear(
    low, upscaler.encoding, source_size=upscaler.source_size
  )
  return _with_missing(upscaler, low, missing)


def _with_missing(upscaler: Upscaler, low: Array, missing: Array) -> Array:
  """A low plane upscaled, with the blocks that the bicubic one lacks."""
  degradation = degradation_of(upscaler, low)
  enlarged = degradation.interpolate(low[..., None])[..., 0]
  high = enlarged + average_blocks(
    missing, factor=upscaler.factor, reach=upscaler.reach
  )
  return project(high, low, degradation)


def degradation_of(upscaler: Upscaler, low: Array) -> operators.Downscaling:
  """The degradation that makes a low plane of the plane to be found."""
  height, width = low.shape
  return operators.make_downscaling(
    (height, width),
    (upscaler.factor * height, upscaler.factor * width),
    kernel=upscaler.kernel,
  )


def project(
  high: Array, low: Array, degradation: operators.Downscaling
) -> Array:
  """A plane that becomes the low one when downscaled."""
  projected = degradation.back_project(high[..., None], low[..., None])
  return projected[..., 0]
