"""The training of a variational autoencoder, and of a decoder's residual.

loss = |x - decoder(z)|^2 / (2 noise_std^2) + KL(N(m, s^2) | N(0, I)),
z = m + s eps,

the negative evidence bound of a decoder with Gaussian noise of `noise_std`
(Kingma & Welling 2014), divided by the vectors' length. A smaller noise asks
for less distortion and a longer code.

A `GaussianDecoder` is trained afterwards, by the likelihood of the vectors
given the latents that an encoder gives them.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.denoisers.latent import (
  GaussianDecoder,
  PrincipalEncoder,
  VariationalEncoder,
)
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.state import TrainState

Array = jax.Array

_BASIS_DRAWS = 2**15  # Examples that the linear encoder is fitted to.


@dataclasses.dataclass(frozen=True)
class EvidenceLoss:
  """Negative evidence bound of a `VariationalEncoder`.

  Attributes:
    draw: Draw of the examples.
    batch_size: Number of examples in a step.
    noise_std: Standard deviation of the decoder's noise.
  """

  draw: Draw
  batch_size: int
  noise_std: float

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: object,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: VariationalEncoder = state.model
    data_key, noise_key = jax.random.split(key)
    x, _ = self.draw(data_key, data, self.batch_size)
    x = x[index]
    mean, log_variance = model.posterior(x)
    keys = jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index)
    noise = arrays.normal(keys, mean.shape)
    decoded = model.decode(mean + jnp.exp(log_variance / 2) * noise)
    error = jnp.sum((x - decoded) ** 2, axis=-1) / (2 * self.noise_std**2)
    divergence = jnp.sum(
      mean**2 + jnp.exp(log_variance) - 1 - log_variance, axis=-1
    )
    return (error + divergence / 2) / x.shape[-1]


def fit_encoder(
  examples: Examples,
  options: TrainOptions,
  *,
  latent_dim: int,
  noise_std: float = 0.05,
  width: int = 256,
  **fit_options: Any,
) -> Fitted[VariationalEncoder]:
  """Trains a variational autoencoder.

  Args:
    examples: Where examples are drawn from.
    options: Length, batch and optimiser.
    latent_dim: Length Z of a latent, at most that of a vector.
    noise_std: Standard deviation of the decoder's noise, in the units of the
      data.
    width: Width of both networks.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: If `latent_dim` or `noise_std` is out of range.
    NonFiniteLossError: If the loss is no longer finite.
  """
  arrays.check_in_range('noise_std', noise_std, 0, float('inf'), open_low=True)
  network_key, draw_key = jax.random.split(jax.random.key(options.seed))
  x, _ = examples.draw(draw_key, examples.data, _BASIS_DRAWS)
  model = VariationalEncoder.create(
    network_key, x, latent_dim=latent_dim, width=width
  )
  loss = EvidenceLoss(examples.draw, options.batch_size, noise_std)
  return fit(model, examples.data, loss, options, **fit_options)


@dataclasses.dataclass(frozen=True)
class ResidualLoss:
  """Negative log density of vectors given their latents, over their length.

  Attributes:
    draw: Draw of the examples.
    batch_size: Number of examples in a step.
  """

  draw: Draw
  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: object,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: GaussianDecoder = state.model
    x = self.draw(key, data, self.batch_size)[0][index]
    z = jax.lax.stop_gradient(model.encode(x))
    return -model.log_density(x, z) / x.shape[-1]


def fit_gaussian_decoder(
  examples: Examples,
  options: TrainOptions,
  *,
  encoder: PrincipalEncoder | VariationalEncoder,
  **fit_options: Any,
) -> Fitted[GaussianDecoder]:
  """Trains the distribution of an encoder's residual.

  Args:
    examples: Where examples are drawn from.
    options: Length, batch and optimiser.
    encoder: The encoder, which stays as it is.
    **fit_options: Options of `fit`.

  Raises:
    NonFiniteLossError: If the loss is no longer finite.
  """
  network_key, draw_key = jax.random.split(jax.random.key(options.seed))
  x, _ = examples.draw(draw_key, examples.data, _BASIS_DRAWS)
  model = GaussianDecoder.create(network_key, encoder, x)
  loss = ResidualLoss(examples.draw, options.batch_size)
  return fit(model, examples.data, loss, options, **fit_options)
