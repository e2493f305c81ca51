"""Latent spaces: a variational autoencoder, and its linear case.

An encoder is a value with `encode(x [B, D]) -> z [B, Z]` and `decode(z) -> x`.
Diffusion in its space needs nothing else: a `LearnedDenoiser` is trained on the
latents, and its samples are decoded (Rombach et al. 2022). A decoder returns a
mean, which is smoother than the data. `GaussianDecoder` adds the distribution
of the residual, so that a vector can be drawn instead.

  VariationalEncoder  z ~ N(m(x), s(x)^2), x ~ decoder(z), two networks trained
                      with |x - decoder(z)|^2 + beta KL (Kingma & Welling 2014)
  PrincipalEncoder    the first Z principal coordinates: of all linear encoders
                      of Z numbers it has the smallest squared error
  GaussianDecoder     one of these, and x ~ N(decoder(z) + m(z), s(z)^2)

The first two scale the latents to unit variance on average.
"""

from typing import Self, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers.dense import Dense
from internal_diffusion.types import Params, static

Array = jax.Array


def check_latent_dim(latent_dim: int, dim: int) -> None:
  """Raises ValueError unless a latent has 1 to `dim` numbers."""
  arrays.check_positive_int('latent_dim', latent_dim)
  if latent_dim > dim:
    raise ValueError(
      f'`latent_dim` must be at most {dim}, the length of the vectors, got'
      f' {latent_dim}.'
    )


@flax.struct.dataclass
class PrincipalEncoder:
  """The first principal coordinates, over their root mean square.

  Attributes:
    basis: Principal basis of the vectors, of one group.
    scale: Root mean square of the kept coordinates, scalar.
    latent_dim: Number of coordinates Z.
  """

  basis: PrincipalBasis
  scale: Array
  latent_dim: int = static()

  @classmethod
  def create(cls, vectors: np.ndarray | Array, *, latent_dim: int) -> Self:
    """Fits the basis to vectors [N, D].

    Raises:
      ValueError: If `latent_dim` is not in [1, D].
    """
    check_latent_dim(latent_dim, vectors.shape[-1])
    basis = principal_basis.fit_principal_basis(jnp.asarray(vectors))
    scale = jnp.sqrt(jnp.mean(basis.stddev[0, :latent_dim] ** 2))
    return cls(basis, scale, latent_dim)

  def encode(self, x: Array) -> Array:
    """Latents [B, Z] of vectors [B, D]."""
    z = principal_basis.to_principal(self.basis, x)
    return z[:, : self.latent_dim] / self.scale

  def decode(self, z: Array) -> Array:
    """Vectors [B, D] of latents [B, Z]."""
    missing = len(self.basis.mean) - self.latent_dim
    whole = jnp.pad(z * self.scale, ((0, 0), (0, missing)))
    return principal_basis.from_principal(self.basis, whole)


class ResidualMLP(nn.Module):
  """A residual network from vectors to vectors.

  Attributes:
    output_dim: Length of the output.
    width: Width of the residual stream.
    depth: Number of residual blocks.
  """

  output_dim: int
  width: int = 256
  depth: int = 2

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps vectors [B, D] to [B, output_dim]."""
    hidden = Dense(self.width)(x)
    for _ in range(self.depth):
      update = Dense(self.width)(nn.silu(nn.RMSNorm()(hidden)))
      hidden += Dense(self.width)(nn.silu(update))
    return Dense(self.output_dim)(nn.RMSNorm()(hidden))


@flax.struct.dataclass
class VariationalEncoder:
  """A variational autoencoder; its parameters are trained by `fit`.

  It works in principal coordinates. The networks add to the linear encoder and
  decoder, so that it begins near their error.

  Attributes:
    params: Parameters of both networks, 'encoder' and 'decoder'.
    linear: The linear encoder that it begins as.
    encoder: Network from principal coordinates to mean and log variance, 2 Z.
    decoder: Network from latents to principal coordinates.
  """

  params: Params
  linear: PrincipalEncoder
  encoder: nn.Module = static()
  decoder: nn.Module = static()

  @classmethod
  def create(
    cls,
    key: Array,
    vectors: np.ndarray | Array,
    *,
    latent_dim: int,
    width: int = 256,
    depth: int = 2,
  ) -> Self:
    """The autoencoder of vectors [N, D] before training.

    Raises:
      ValueError: If `latent_dim` is not in [1, D].
    """
    linear = PrincipalEncoder.create(vectors, latent_dim=latent_dim)
    dim = vectors.shape[-1]
    encoder = ResidualMLP(2 * latent_dim, width, depth)
    decoder = ResidualMLP(dim, width, depth)
    keys = jax.random.split(key)
    params = {
      'encoder': jax.jit(encoder.init)(keys[0], jnp.zeros((1, dim))),
      'decoder': jax.jit(decoder.init)(keys[1], jnp.zeros((1, latent_dim))),
    }
    return cls(params, linear, encoder, decoder)

  def posterior(self, x: Array) -> tuple[Array, Array]:
    """Mean and log variance of the latents, [B, Z] each, of vectors [B, D]."""
    z = principal_basis.to_principal(self.linear.basis, x)
    unit = z / principal_basis.group_stddev(self.linear.basis, None)
    output = self.encoder.apply(self.params['encoder'], unit)
    shift, log_variance = jnp.split(cast(Array, output), 2, axis=-1)
    # The start: noise of a tenth of the latents.
    return self.linear.encode(x) + 0.1 * shift, log_variance - 4.6

  def encode(self, x: Array) -> Array:
    """Latents [B, Z] of vectors [B, D], the posterior's means."""
    return self.posterior(x)[0]

  def decode(self, z: Array) -> Array:
    """Vectors [B, D] of latents [B, Z]."""
    output = self.decoder.apply(self.params['decoder'], z)
    return self.linear.decode(z) + 0.1 * cast(Array, output)


_MIN_STD = 5e-4  # Of a residual: a quarter of the rounding of 8-bit values.


@flax.struct.dataclass
class GaussianDecoder:
  """An encoder with the Gaussian distribution of its residual given z.

  The residual x - decode(z) has independent principal coordinates, whose mean
  and variance a network predicts from z. Its inputs also have the latents on
  compressed scales, because the contrast of a patch sets the scale of its
  residual. Without it, decoded patches lack the detail that no latent holds.

  Attributes:
    params: Parameters of the network, the only leaves that are trained.
    encoder: The encoder, which stays as it is.
    basis: Principal basis of the vectors, of one group.
    residual_std: Standard deviation of the residual's coordinates, [1, D].
    latent_std: Standard deviation of the latents, [1, Z].
    network: Network from features of z to mean and log variance, 2 D.
  """

  params: Params
  encoder: PrincipalEncoder | VariationalEncoder
  basis: PrincipalBasis
  residual_std: Array
  latent_std: Array
  network: nn.Module = static()

  @classmethod
  def create(
    cls,
    key: Array,
    encoder: PrincipalEncoder | VariationalEncoder,
    vectors: Array,
    *,
    width: int = 192,
  ) -> Self:
    """The decoder before training, with the variance of vectors [N, D]."""
    basis = principal_basis.fit_principal_basis(vectors)
    z = encoder.encode(vectors)
    residual = vectors - encoder.decode(z)
    rotated = jnp.matmul(residual, basis.components)
    network = ResidualMLP(2 * vectors.shape[-1], width)
    features = jnp.zeros((1, 3 * z.shape[-1]))
    return cls(
      params=jax.jit(network.init)(key, features),
      encoder=encoder,
      basis=basis,
      residual_std=jnp.sqrt(
        jnp.mean(rotated**2, axis=0, keepdims=True) + _MIN_STD**2
      ),
      latent_std=jnp.maximum(jnp.std(z, axis=0, keepdims=True), 1e-6),
      network=network,
    )

  def encode(self, x: Array) -> Array:
    """Latents [B, Z] of vectors [B, D]."""
    return self.encoder.encode(x)

  def residual(self, z: Array) -> tuple[Array, Array]:
    """Mean and log variance of the residual's coordinates, [B, D] each."""
    unit = z / self.latent_std
    features = jnp.concatenate(
      [unit, jnp.arcsinh(10 * unit) / 3, jnp.log(unit**2 + 1e-3) / 3], axis=-1
    )
    output = cast(Array, self.network.apply(self.params, features))
    shift, log_ratio = jnp.split(output, 2, axis=-1)
    log_variance = log_ratio + 2 * jnp.log(self.residual_std)
    floor = 2 * jnp.log(jnp.float32(_MIN_STD))
    return (
      0.3 * shift * self.residual_std,
      jnp.logaddexp(log_variance, floor),
    )

  def decode(self, z: Array) -> Array:
    """The mean of the vectors [B, D] of latents [B, Z]."""
    return self._add(z, self.residual(z)[0])

  def sample(self, key: Array, z: Array) -> Array:
    """Draws vectors [B, D] given latents [B, Z]; one key, or keys [B]."""
    mean, log_variance = self.residual(z)
    noise = arrays.normal(key, mean.shape)
    return self._add(z, mean + jnp.exp(log_variance / 2) * noise)

  def log_density(self, x: Array, z: Array) -> Array:
    """Log density of vectors [B, D] given latents [B, Z], in nats, [B]."""
    mean, log_variance = self.residual(z)
    residual = jnp.matmul(
      x - self.encoder.decode(z),
      self.basis.components,
      precision=jax.lax.Precision.HIGHEST,
    )
    squares = (residual - mean) ** 2 * jnp.exp(-log_variance)
    return -jnp.sum(squares + log_variance + np.log(2 * np.pi), axis=-1) / 2

  def _add(self, z: Array, residual: Array) -> Array:
    rotated = jnp.matmul(residual, self.basis.components.T)
    return self.encoder.decode(z) + rotated
