"""A convolutional denoiser of images: a small U-Net (Ronneberger et al. 2015).

The lectures' architecture (Ho et al. 2020): residual blocks at several
resolutions, joined across by skip connections, with the noise level in every
block and, as an option, self-attention at the coarsest resolution. Without
attention it is fully convolutional: trained on crops of an image, it denoises
images of any size. Norms are over the channels of each pixel alone, so that a
crop and an image are treated alike.
"""

from typing import Self, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.denoisers import embeddings
from internal_diffusion.denoisers.dense import Dense
from internal_diffusion.diffusion import preconditioning
from internal_diffusion.types import Condition, Params, static

Array = jax.Array


class _Conv(nn.Module):
  """Convolution of images [B, H, W, C], zeros beyond the borders.

  As a product of matrices: on a CPU, XLA's own convolutions are some 15 times
  slower inside a loop, which training and sampling are.

  Attributes:
    features: Number of output channels.
    side: Side of the kernel, odd.
    is_zero: Whether the kernel starts at zero.
  """

  features: int
  side: int = 3
  is_zero: bool = False

  @nn.compact
  def __call__(self, x: Array) -> Array:
    batch, height, width, channels = x.shape
    margin = self.side // 2
    around = (margin, margin)
    padded = jnp.pad(x, ((0, 0), around, around, (0, 0)))
    shifted = [
      padded[:, i : i + height, j : j + width]
      for i in range(self.side)
      for j in range(self.side)
    ]
    columns = jnp.concatenate(shifted, axis=-1).reshape(
      -1, self.side**2 * channels
    )
    start = nn.initializers.lecun_normal()
    if self.is_zero:
      start = nn.initializers.zeros
    mapped = Dense(self.features, kernel_init=start)(columns)
    return mapped.reshape(batch, height, width, self.features)


class _Block(nn.Module):
  """Residual block of two convolutions, scaled and shifted by an embedding."""

  width: int

  @nn.compact
  def __call__(self, x: Array, embedding: Array) -> Array:
    hidden = _Conv(self.width)(nn.silu(nn.RMSNorm()(x)))
    scale, shift = jnp.split(Dense(2 * self.width)(embedding), 2, axis=-1)
    hidden = nn.RMSNorm()(hidden)
    hidden = hidden * (1 + scale[:, None, None]) + shift[:, None, None]
    hidden = _Conv(self.width, is_zero=True)(nn.silu(hidden))
    skip = x if x.shape[-1] == self.width else Dense(self.width)(x)
    return skip + hidden


class _Attention(nn.Module):
  """Self-attention among all pixels."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    found = nn.MultiHeadDotProductAttention(num_heads=4)(nn.RMSNorm()(flat))
    return x + found.reshape(x.shape)


class UNet(nn.Module):
  """Network F of `diffusion.preconditioning`, from images to images.

  Attributes:
    width: Channels at the finest resolution; each coarser one has twice as
      many, up to four times.
    depth: Number of halvings; sides must be multiples of 2^depth.
    attention: Whether the coarsest resolution has self-attention.
  """

  width: int = 32
  depth: int = 2
  attention: bool = False

  @nn.compact
  def __call__(self, x: Array, c_noise: Array) -> Array:
    """Maps images [B, H, W, C] to images of the same shape."""
    noise = embeddings.fourier_features(c_noise, num_features=64)
    embedding = nn.silu(Dense(64)(noise))
    widths = [self.width * min(2**i, 4) for i in range(self.depth + 1)]
    hidden = _Conv(self.width)(x)
    kept = []
    for width in widths[:-1]:
      hidden = _Block(width)(hidden, embedding)
      kept.append(hidden)
      hidden = nn.avg_pool(hidden, (2, 2), (2, 2))
    hidden = _Block(widths[-1])(hidden, embedding)
    if self.attention:
      hidden = _Attention()(hidden)
    hidden = _Block(widths[-1])(hidden, embedding)
    for width, skip in zip(widths[-2::-1], kept[::-1], strict=True):
      hidden = jnp.repeat(jnp.repeat(hidden, 2, axis=1), 2, axis=2)
      hidden = jnp.concatenate([hidden, skip], axis=-1)
      hidden = _Block(width)(hidden, embedding)
    hidden = nn.silu(nn.RMSNorm()(hidden))
    return _Conv(x.shape[-1], is_zero=True)(hidden)


@flax.struct.dataclass
class ConvolutionalDenoiser:
  """A U-Net with the preconditioning of Karras et al. 2022.

  Attributes:
    params: Parameters of the network, the only leaves that are trained.
    mean: Mean colour, [C].
    sigma_data: Standard deviation of the pixels, scalar.
    network: The network.
  """

  params: Params
  mean: Array
  sigma_data: Array
  network: UNet = static()

  @classmethod
  def create(cls, key: Array, image: Array, network: UNet) -> Self:
    """The denoiser of images like one [H, W, C], before training."""
    side = 2**network.depth
    params = jax.jit(network.init)(
      key, jnp.zeros((1, side, side, image.shape[-1])), jnp.zeros(1)
    )
    mean = jnp.mean(image, axis=(0, 1))
    std = jnp.sqrt(jnp.mean((image - mean[None, None]) ** 2))
    return cls(params, mean, std, network)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises images [B, H, W, C]; see `Denoiser`.

    Raises:
      ValueError: If a side is no multiple of 2^depth.
    """
    del cond
    multiple = 2**self.network.depth
    if x.shape[1] % multiple or x.shape[2] % multiple:
      raise ValueError(
        f'`x` must have sides that are multiples of {multiple}, got'
        f' {x.shape[1]}x{x.shape[2]}.'
      )
    sigma = jnp.broadcast_to(sigma, x.shape[:1])
    mean = self.mean[None, None, None]
    scales = preconditioning.edm_coefficients(sigma, self.sigma_data)
    c_skip, c_out, c_in = (
      arrays.match_rank(scale[:, 0], x) for scale in scales[:3]
    )
    centred = x - mean
    output = self.network.apply(self.params, c_in * centred, scales.c_noise)
    return mean + c_skip * centred + c_out * cast(Array, output)
