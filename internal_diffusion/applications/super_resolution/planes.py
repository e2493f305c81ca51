"""Enlarging one plane: its mean, the scale of the residual, and a sample of it.

Blocks are predicted for the sources of all low pixels and averaged where they
overlap. Samples are drawn by Heun's method over planes, in units of the scale.
"""

import functools
from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.super_resolution import (
  blocks as blocks_lib,
)
from internal_diffusion.applications.super_resolution.model import Upscaler
from internal_diffusion.applications.super_resolution.pairs import normalise
from internal_diffusion.data.symmetry import pixel_orders
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling.samplers import sample_heun
from internal_diffusion.types import Condition

Array = jax.Array

_CHUNK = 8192  # Number of sources on the device at once.
_SIGMA_MIN, _SIGMA_MAX = 0.2, 12.0  # Noise levels, in units of the scale.
# Neighbouring blocks of a residual are nearly alike: every other one along each
# axis is enough.
_STRIDE = 2
_WINDOW_STDDEV = 0.2  # Of the window of a block, over its side.


def mean_plane(
  upscaler: Upscaler, low: Array, *, num_orientations: int = 8
) -> Array:
  """Mean [s h, s w] of the enlarged plane [h, w], consistent with it.

  The network's prediction is averaged over a number of orientations of a
  source; 0 leaves the linear prediction alone.
  """
  downscaling = upscaler.downscaling(low.shape)
  bicubic = downscaling.interpolate(low[..., None])
  missing = _missing_plane(upscaler, low, num_orientations=num_orientations)
  high = bicubic + missing[..., None]
  return downscaling.back_project(high, low[..., None])[..., 0]


@functools.partial(jax.jit, static_argnames='num_orientations')
def _missing_plane(
  upscaler: Upscaler, low: Array, *, num_orientations: int
) -> Array:
  """Predicted residual of the bicubic upscaling of a low plane, [s h, s w]."""
  encoding = upscaler.encoding
  orders = pixel_orders(upscaler.source_size)[:num_orientations]
  # Inverse orientations, from the block of a rotated source.
  side = blocks_lib.block_size(upscaler.factor, upscaler.reach)
  inverses = np.argsort(pixel_orders(side)[:num_orientations], axis=-1)

  def predict(z: Array) -> Array:
    def turned(order: tuple[Array, Array]) -> Array:
      features = z[:, order[0]] @ encoding.features
      return upscaler.blocks.mean(features)[:, order[1]]

    blocks = z @ encoding.linear
    if num_orientations:
      predicted = jax.lax.map(
        turned, (jnp.asarray(orders), jnp.asarray(inverses))
      )
      blocks = blocks + jnp.mean(predicted, axis=0)
    return blocks

  return _predicted_plane(upscaler, low, predict)


@jax.jit
def scale_plane(upscaler: Upscaler, mean: Array) -> Array:
  """Scale of a mean plane's residual, [s h, s w], above 0."""
  residuals = upscaler.residuals
  assert residuals is not None  # `upscale` checks it.
  shape = tuple(side // upscaler.factor for side in mean.shape)

  def scale(pixels: Array) -> Array:
    features, contrast = _features_at(upscaler, mean, pixels)
    return contrast * residuals.blocks.scale(features)

  pixels = jnp.arange(shape[0] * shape[1])
  blocks = _joined(jax.lax.map(scale, _chunks(pixels)), len(pixels))
  return blocks_lib.average_blocks(
    blocks.reshape(*shape, -1),
    factor=upscaler.factor,
    reach=upscaler.residual_reach,
  )


def _features_at(
  upscaler: Upscaler, mean: Array, pixels: Array
) -> tuple[Array, Array]:
  """Features [n, F] and contrast [n, 1] of the mean around low pixels [n]."""
  assert upscaler.residuals is not None
  around = blocks_lib.blocks_at(
    mean, pixels, factor=upscaler.factor, reach=upscaler.condition_reach
  )
  z, contrast = normalise(around)
  return z @ upscaler.residuals.features, contrast


def _predicted_plane(
  upscaler: Upscaler, low: Array, predict: Callable[[Array], Array]
) -> Array:
  """The average of the blocks predicted from all normalised sources."""

  def blocks_at(pixels: Array) -> Array:
    z, contrast = normalise(sources_at(low, pixels, upscaler.source_size))
    return contrast * predict(z)

  blocks = jax.lax.map(blocks_at, _chunks(jnp.arange(low.size)))
  blocks = _joined(blocks, low.size).reshape(*low.shape, -1)
  return blocks_lib.average_blocks(
    blocks, factor=upscaler.factor, reach=upscaler.reach
  )


def residual_plane(
  key: Array, upscaler: Upscaler, mean: Array, scale: Array, *, num_steps: int
) -> Array:
  """A sample of a mean plane's residual, [s h, s w]; 0 when downscaled.

  Args:
    key: One key.
    upscaler: The model.
    mean: Mean plane that the residual is given, [s h, s w].
    scale: Scale of the residual, [s h, s w]; see `scale_plane`.
    num_steps: Number of Heun steps.
  """
  sigmas = karras_sigmas(num_steps, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX)
  normalised = _sample_normalised(key, upscaler, mean, sigmas)
  residual = scale * normalised
  height, width = (side // upscaler.factor for side in mean.shape)
  downscaling = upscaler.downscaling((height, width))
  zero = jnp.zeros((height, width, 1))
  return downscaling.back_project(residual[..., None], zero)[..., 0]


@flax.struct.dataclass
class _PlaneDenoiser:
  """Denoiser of a plane of residuals: the denoiser of blocks, lifted.

  It denoises the blocks of given low pixels, those of `take_sparse` at an
  offset, and averages them where they overlap. So all blocks share one noisy
  plane, and neighbours agree on what they have in common at every noise level.
  """

  upscaler: Upscaler
  pixels: Array
  features: Array
  offset: Array

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises planes x [1, s h, s w]; see `Denoiser`."""
    del cond  # The features.
    assert self.upscaler.residuals is not None
    denoiser = self.upscaler.residuals.blocks
    factor, reach = self.upscaler.factor, self.upscaler.residual_reach
    height, width = (side // factor for side in x.shape[1:])

    def denoise(chunk: tuple[Array, Array]) -> Array:
      pixels, features = chunk
      noisy = blocks_lib.blocks_at(x[0], pixels, factor=factor, reach=reach)
      sigmas = jnp.broadcast_to(sigma, len(noisy))
      return denoiser(noisy, sigmas, Condition(vector=features))

    chunks = _chunks(self.pixels.ravel()), self.features
    denoised = _joined(jax.lax.map(denoise, chunks), self.pixels.size)
    denoised = denoised.reshape(*self.pixels.shape[:2], -1)
    window = _window(blocks_lib.block_size(factor, reach))
    total, weight = (
      blocks_lib.average_blocks(
        blocks_lib.place_sparse(
          part, self.offset, stride=_STRIDE, shape=(height, width)
        ),
        factor=factor,
        reach=reach,
      )
      for part in (denoised * window, jnp.broadcast_to(window, denoised.shape))
    )
    return (total / weight)[None]


def _window(side: int) -> Array:
  """Weights of a block's pixels in the average, [side^2], above 0.

  A block knows most about its centre. An equal average of blocks blurs what a
  residual in units of its scale has of its own: sparse, strong detail.
  """
  offset = np.arange(side) - (side - 1) / 2
  profile = np.exp(-((offset / (_WINDOW_STDDEV * side)) ** 2) / 2)
  return jax.device_put(np.outer(profile, profile).ravel().astype(np.float32))


@jax.jit
def _sample_normalised(
  key: Array, upscaler: Upscaler, mean: Array, sigmas: Array
) -> Array:
  """A sample of the residual in units of its scale, [s h, s w]."""
  noise_key, offset_key, sample_key = jax.random.split(key, 3)
  offset = jax.random.randint(offset_key, (2,), 0, _STRIDE)
  height, width = (side // upscaler.factor for side in mean.shape)
  pixels = jnp.arange(height * width).reshape(height, width, 1)
  pixels = blocks_lib.take_sparse(pixels, offset, stride=_STRIDE)

  def features_at(pixels: Array) -> Array:
    return _features_at(upscaler, mean, pixels)[0]

  features = jax.lax.map(features_at, _chunks(pixels.ravel()))
  denoiser = _PlaneDenoiser(upscaler, pixels, features, offset)
  x = sigmas[0] * jax.random.normal(noise_key, (1, *mean.shape))
  return sample_heun(sample_key, denoiser, x, sigmas)[0]


def sources_at(low: Array, pixels: Array, source_size: int) -> Array:
  """Sources [n, S*S] of low pixels [n], numbered row by row."""
  # Beyond the border, the plane repeats its nearest pixel.
  padded = jnp.pad(low, source_size // 2, mode='edge')
  down, right = np.indices((source_size, source_size)).reshape(2, 1, -1)
  row, column = jnp.divmod(pixels[:, None], low.shape[1])
  return padded[row + down, column + right]


def _chunks(rows: Array) -> Array:
  """Rows [N, ...] in chunks of a bounded number, [M, n, ...]."""
  size = min(_CHUNK, len(rows))
  pad = [(0, -len(rows) % size)] + [(0, 0)] * (rows.ndim - 1)
  return jnp.pad(rows, pad, mode='edge').reshape(-1, size, *rows.shape[1:])


def _joined(chunks: Array, num: int) -> Array:
  """The first rows [num, ...] of chunks [M, n, ...]."""
  return chunks.reshape(-1, *chunks.shape[2:])[:num]
