"""The score network: a residual MLP, because patches are short vectors."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers import embeddings
from internal_diffusion.denoisers.dense import Dense
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
    update = Dense(self.width, dtype=self.dtype)(update)
    modulation = Dense(
      2 * self.width, dtype=self.dtype, kernel_init=nn.initializers.zeros
    )(embedding)
    scale, shift = jnp.split(modulation, 2, axis=-1)
    update = nn.silu((1 + scale) * update + shift)
    return hidden + Dense(
      self.width,
      dtype=self.dtype,
      # Small, so that a deep network starts near the identity.
      kernel_init=nn.initializers.variance_scaling(0.2, 'fan_in', 'normal'),
    )(update)


def _missing_parts(cond: Condition, batch: int, num_parts: int) -> Array:
  """1 where a part of the condition is not given, [B, G]."""
  given = True if cond.given is None else cond.given
  return 1.0 - jnp.broadcast_to(given, (batch, num_parts))


class ScoreMLP(nn.Module):
  """Network F of `diffusion.preconditioning`, from vectors to vectors.

  The output starts at zero, so that the first denoiser is the skip connection
  alone.

  Attributes:
    output_dim: Length of the output; the input may have any length.
    num_levels: Number of pyramid levels that `Condition.level` may name.
    num_parts: Number of parts of the condition's vector that may be missing; 0
      for networks that always receive all of them.
    width: Width of the residual stream.
    depth: Number of residual blocks.
    embedding_dim: Length of the joint embedding of noise level and conditions.
    compute_dtype: Type of the products, 'float32' or 'bfloat16'; parameters and
      output are float32.
  """

  output_dim: int
  num_levels: int = 1
  num_parts: int = 0
  width: int = 512
  depth: int = 3
  embedding_dim: int = 64
  compute_dtype: str = 'float32'

  @nn.compact
  def __call__(
    self, inputs: Array, c_noise: Array, cond: Condition | None = None
  ) -> Array:
    """Evaluates the network.

    Args:
      inputs: [B, D], of unit variance.
      c_noise: Noise level in the network's scale, ln(sigma) / 4, [B].
      cond: Conditions; every field that is not None is used. The vector has
        unit variance, and is 0 where it is not given.

    Returns:
      [B, output_dim] float32.

    Raises:
      ValueError: If parts of the condition are missing, but the network has no
        `num_parts`.
    """
    cond = Condition() if cond is None else cond
    dtype = jnp.dtype(self.compute_dtype)
    noise = embeddings.fourier_features(
      c_noise, num_features=self.embedding_dim
    )
    embedding = Dense(self.embedding_dim, dtype=dtype)(noise)
    if cond.sigma_aug is not None:
      augmentation = embeddings.fourier_features(
        jnp.log(cond.sigma_aug) / 4, num_features=self.embedding_dim
      )
      embedding += Dense(self.embedding_dim, use_bias=False, dtype=dtype)(
        augmentation
      )
    if cond.level is not None:
      table = nn.Embed(self.num_levels, self.embedding_dim, dtype=dtype)
      embedding += table(cond.level)
    hidden = Dense(self.width, dtype=dtype)(inputs)
    if cond.vector is not None:
      # The condition is added to the input at full width, because a source
      # patch is as long as the noisy patch. It also modulates every block.
      encoded = self._encode(cond, len(inputs))
      hidden += encoded
      embedding += Dense(self.embedding_dim, dtype=dtype)(nn.silu(encoded))
    embedding = nn.silu(embedding)
    for _ in range(self.depth):
      hidden = ResidualBlock(self.width, dtype)(hidden, embedding)
    hidden = nn.RMSNorm(dtype=dtype)(hidden)
    output = Dense(
      self.output_dim, dtype=dtype, kernel_init=nn.initializers.zeros
    )(hidden)
    return output.astype(jnp.float32)

  def _encode(self, cond: Condition, batch: int) -> Array:
    """Encodes the condition's vector [B, K] to [B, width]."""
    dtype = jnp.dtype(self.compute_dtype)
    dense = functools.partial(Dense, self.width, dtype=dtype)
    encoded = dense()(cond.vector)
    if self.num_parts:
      # A learned vector stands for each missing part.
      missing = _missing_parts(cond, batch, self.num_parts)
      encoded += dense(use_bias=False)(missing)
    elif cond.given is not None:
      raise ValueError(
        '`cond.given` must be None: the model was trained without condition'
        ' dropout, so it cannot do without its condition.'
      )
    return encoded + dense()(nn.silu(dense()(nn.RMSNorm(dtype=dtype)(encoded))))
