"""The closed form of p(target | source), with noise on the source.

Given pairs (c_i, y_i) and a source c with noise of level sigma_aug on it,

  p(i | c) ~ exp(-|c - c_i|^2 / (2 sigma_aug^2)),

so the mean of the targets is kernel regression with that bandwidth (Nadaraya
1964, Watson 1964), which is what a network trained with such noise converges
to. Their root mean squared difference from it is its deviation b. Given a noisy
rest x = (y - mean) / b + sigma eps too,

  p(i | c, x) ~ p(i | c) exp(-|mean + b x - y_i|^2 / (2 b^2 sigma^2)).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.denoisers import closed_form
from internal_diffusion.types import Condition

Array = jax.Array

_FLOOR = 0.01  # Of a deviation, so that nothing is divided by nothing.


class KernelPairs(NamedTuple):
  """The pairs.

  Attributes:
    features: c [N, F].
    target: y [N, D].
  """

  features: Array
  target: Array


@dataclasses.dataclass(frozen=True)
class KernelRegression:
  """A network's stand-in whose parameters are the pairs themselves.

  Attributes:
    sigma_aug: Bandwidth.
  """

  sigma_aug: float

  def apply(self, pairs: KernelPairs, features: Array) -> Array:
    """Mean targets [B, D] given features [B, F]."""
    log_prior = _log_prior(pairs, features, self.sigma_aug)
    return jax.nn.softmax(log_prior, axis=-1) @ pairs.target

  def denoise_rest(
    self, pairs: KernelPairs, x: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    """The denoiser of what the mean leaves of targets, `(x [B, D], sigma)`.

    Args:
      pairs: The pairs.
      x: Noisy targets minus their mean, in units of `KernelDeviation`.
      sigma: Noise level, scalar or [B].
      cond: Its vector holds the features [B, F].
    """
    if cond is None or cond.vector is None:
      raise ValueError('`cond.vector` must hold the features, got None.')
    log_prior = _log_prior(pairs, cond.vector, self.sigma_aug)
    mean, unit = _moments(pairs, log_prior)
    denoised = closed_form.posterior_mean(
      mean + unit * x,
      unit[:, 0] * sigma,
      pairs.target,
      log_prior=log_prior,
    )
    return (denoised - mean) / unit


@dataclasses.dataclass(frozen=True)
class KernelDeviation:
  """How far targets lie from the mean of `KernelRegression`.

  Attributes:
    sigma_aug: Its bandwidth.
  """

  sigma_aug: float

  def apply(self, pairs: KernelPairs, features: Array) -> Array:
    """Deviations given features [B, F]: [B, D], one for a whole block."""
    log_prior = _log_prior(pairs, features, self.sigma_aug)
    mean, unit = _moments(pairs, log_prior)
    return jnp.broadcast_to(unit, mean.shape)


def _log_prior(pairs: KernelPairs, features: Array, sigma_aug: float) -> Array:
  """Of pairs: log p(i | c) but for a constant, [B, N]."""
  level = jnp.full(len(features), sigma_aug)
  return closed_form.log_kernel(features, level, pairs.features)


def _moments(pairs: KernelPairs, log_prior: Array) -> tuple[Array, Array]:
  """The mean [B, D] and the deviation [B, 1] of targets."""
  weight = jax.nn.softmax(log_prior, axis=-1)
  mean = weight @ pairs.target
  square = weight @ jnp.mean(pairs.target**2, axis=-1, keepdims=True)
  variance = square - jnp.mean(mean**2, axis=-1, keepdims=True)
  return mean, jnp.sqrt(jnp.maximum(variance, _FLOOR**2))
