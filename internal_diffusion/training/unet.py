"""The training of a convolutional denoiser on crops of one image."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.denoisers.unet import ConvolutionalDenoiser, UNet
from internal_diffusion.diffusion import losses
from internal_diffusion.training.corruption import draw_sigma
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.options import (
  NoiseOptions,
  TrainOptions,
)
from internal_diffusion.training.state import TrainState

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class CropLoss:
  """Denoising loss of crops of an image, with the weight of Karras et al. 2022.

  Attributes:
    size: Side of a crop, in pixels.
    noise: Noise levels.
    batch_size: Number of crops in a step.
  """

  size: int
  noise: NoiseOptions
  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: Array,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the crops `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: ConvolutionalDenoiser = state.model
    crop_key, sigma_key, noise_key = jax.random.split(key, 3)
    keys = jax.vmap(lambda i: jax.random.fold_in(crop_key, i))(index)
    x0 = jax.vmap(lambda k: draw_crop(k, data, size=self.size))(keys)
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    sigma = draw_sigma(uniform, self.noise)
    noise = arrays.normal(
      jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index), x0.shape
    )
    x = x0 + arrays.match_rank(sigma, x0) * noise
    squares = jnp.mean((model(x, sigma) - x0) ** 2, axis=(1, 2, 3))
    weight = losses.edm_weight(sigma, model.sigma_data)[:, 0]
    return weight * squares


def draw_crop(key: Array, image: Array, *, size: int) -> Array:
  """A random square of an image [H, W, C], mirrored at random, [S, S, C]."""
  place_key, mirror_key = jax.random.split(key)
  limits = jnp.array([side - size + 1 for side in image.shape[:2]])
  row, column = arrays.index_from_uniform(
    jax.random.uniform(place_key, (2,)), limits
  )
  crop = jax.lax.dynamic_slice(
    image, (row, column, 0), (size, size, image.shape[-1])
  )
  mirrored = jax.random.bernoulli(mirror_key)
  return jnp.where(mirrored, crop[:, ::-1], crop)


def fit_unet(
  image: np.ndarray,
  options: TrainOptions,
  *,
  network: UNet,
  noise: NoiseOptions,
  crop_size: int = 32,
  **fit_options: Any,
) -> Fitted[ConvolutionalDenoiser]:
  """Trains a convolutional denoiser on crops of an image.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    options: Length, batch and optimiser.
    network: The network.
    noise: Noise levels.
    crop_size: Side of a crop, a multiple of 2^depth, at most the image's.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: If the crops do not fit the image or the network.
    NonFiniteLossError: If the loss is no longer finite.
  """
  multiple = 2**network.depth
  if crop_size % multiple or not 0 < crop_size <= min(image.shape[:2]):
    raise ValueError(
      f'`crop_size` must be a multiple of {multiple} and at most'
      f' {min(image.shape[:2])}, the smallest side of the image, got'
      f' {crop_size}.'
    )
  pixels = jax.device_put(image)
  model = ConvolutionalDenoiser.create(
    jax.random.key(options.seed), pixels, network
  )
  loss = CropLoss(crop_size, noise, options.batch_size)
  return fit(model, pixels, loss, options, **fit_options)
