"""The score network: a residual MLP, because patches are short vectors."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers import embeddings
from internal_diffusion.types import Condition

Array = jax.Array


class ResidualBlock(nn.Module):
  """h + W2 silu((1 + scale) W1 norm(h) + shift), pre-norm.

  Scale and shift are linear in the embedding (Perez et al. 2018) and start at
  0.

  Attributes:
    width: Length of h and of the hidden vector.
    dtype: Compute type; parameters are float32.
  """

  width: int
  dtype: Any

  @nn.compact
  def __call__(self, hidden: Array, embedding: Array) -> Array:
    """Hidden [B, width] and embedding [B, E] to hidden [B, width]."""
    update = nn.RMSNorm(dtype=self.dtype)(hidden)
    update = nn.Dense(self.width, dtype=self.dtype)(update)
    modulation = nn.Dense(
      2 * self.width, dtype=self.dtype, kernel_init=nn.initializers.zeros
    )(embedding)
    scale, shift = jnp.split(modulation, 2, axis=-1)
    update = nn.silu((1 + scale) * update + shift)
    return hidden + nn.Dense(
      self.width,
      dtype=self.dtype,
      # Small, so that a deep network starts near the identity.
      kernel_init=nn.initializers.variance_scaling(0.2, 'fan_in', 'normal'),
    )(update)


def _missing_parts(cond: Condition, batch: int, num_parts: int) -> Array:
  """1 where a part of the condition is left out, [B, G]."""
  given = True if cond.given is None else cond.given
  return 1.0 - jnp.broadcast_to(given, (batch, num_parts))


class ScoreMLP(nn.Module):
  """Network F of `diffusion.preconditioning`, from vectors to vectors.

  The output starts at zero, so that the first denoiser is the skip connection
  alone.

  Attributes:
    output_dim: Length of the output; the input may have any length.
    num_levels: Number of pyramid levels that `Condition.level` may name.
    num_parts: Number of parts of the condition's vector that may be left out;
      0 is for networks that are always given all of it.
    width: Width of the residual stream.
    depth: Number of residual blocks.
    embedding_dim: Length of the joint embedding of noise level and conditions.
    dtype: Compute type, float32 or bfloat16; parameters and output are float32.
  """

  output_dim: int
  num_levels: int = 1
  num_parts: int = 0
  width: int = 512
  depth: int = 3
  embedding_dim: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, inputs: Array, c_noise: Array, cond: Condition | None = None
  ) -> Array:
    """Evaluates the network.

    Args:
      inputs: [B, D], of unit variance.
      c_noise: Noise level as the network sees it, [B].
      cond: Conditions; whichever fields are there are used. The vector is of
        unit variance, and 0 where it is not given.

    Returns:
      [B, output_dim] float32.

    Raises:
      ValueError: If parts are left out of the condition of a network that was
        not made for it.
    """
    cond = Condition() if cond is None else cond
    dtype = self.dtype
    noise = embeddings.fourier_features(
      c_noise, num_features=self.embedding_dim
    )
    embedding = nn.Dense(self.embedding_dim, dtype=dtype)(noise)
    if cond.sigma_aug is not None:
      told = embeddings.fourier_features(
        jnp.log(cond.sigma_aug) / 4, num_features=self.embedding_dim
      )
      embedding += nn.Dense(self.embedding_dim, use_bias=False, dtype=dtype)(
        told
      )
    if cond.level is not None:
      table = nn.Embed(self.num_levels, self.embedding_dim, dtype=dtype)
      embedding += table(cond.level)
    hidden = nn.Dense(self.width, dtype=dtype)(inputs)
    if cond.vector is not None:
      # The condition stands beside the input, at full width, as a source patch
      # is as long as the patch to be denoised; and it modulates every block.
      told = self._encode(cond, len(inputs))
      hidden += told
      embedding += nn.Dense(self.embedding_dim, dtype=dtype)(nn.silu(told))
    embedding = nn.silu(embedding)
    for _ in range(self.depth):
      hidden = ResidualBlock(self.width, dtype)(hidden, embedding)
    hidden = nn.RMSNorm(dtype=dtype)(hidden)
    output = nn.Dense(
      self.output_dim, dtype=dtype, kernel_init=nn.initializers.zeros
    )(hidden)
    return output.astype(jnp.float32)

  def _encode(self, cond: Condition, batch: int) -> Array:
    """The condition's vector [B, K] as the network's own, [B, width]."""
    dense = functools.partial(nn.Dense, self.width, dtype=self.dtype)
    told = dense()(cond.vector)
    if self.num_parts:
      # What a missing part says: one vector for each, learned.
      missing = _missing_parts(cond, batch, self.num_parts)
      told += dense(use_bias=False)(missing)
    elif cond.given is not None:
      raise ValueError(
        '`cond.given` must be None: the model was trained without condition'
        ' dropout, so it cannot do without its condition.'
      )
    return told + dense()(nn.silu(dense()(nn.RMSNorm(dtype=self.dtype)(told))))
