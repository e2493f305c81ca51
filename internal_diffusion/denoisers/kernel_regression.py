"""The closed form of p(target | source), with noise on the source.

Given pairs (c_i, y_i) and a source c with noise of level sigma_aug on it,

  p(i | c) ~ exp(-|c - c_i|^2 / (2 sigma_aug^2)),

so the mean of the targets is kernel regression with that bandwidth (Nadaraya
1964, Watson 1964), which is what a network trained with such noise converges
to. Given a noisy target x = y + sigma eps too,

  p(i | c, x) ~ p(i | c) exp(-|x - y_i|^2 / (2 sigma^2)).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.denoisers import closed_form
from internal_diffusion.types import Condition

Array = jax.Array


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

  def _log_prior(self, pairs: KernelPairs, features: Array) -> Array:
    level = jnp.full(len(features), self.sigma_aug)
    return closed_form.log_kernel(features, level, pairs.features)

  def apply(self, pairs: KernelPairs, features: Array) -> Array:
    """Mean targets [B, D] given features [B, F]."""
    weight = jax.nn.softmax(self._log_prior(pairs, features), axis=-1)
    return weight @ pairs.target

  def denoise_rest(
    self, pairs: KernelPairs, x: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    """The denoiser of what the mean leaves of targets, `(x [B, D], sigma)`.

    Args:
      pairs: The pairs.
      x: Noisy targets minus their mean.
      sigma: Noise level, scalar or [B].
      cond: Its vector holds the features [B, F].
    """
    if cond is None or cond.vector is None:
      raise ValueError('`cond.vector` must hold the features, got None.')
    log_prior = self._log_prior(pairs, cond.vector)
    mean = jax.nn.softmax(log_prior, axis=-1) @ pairs.target
    denoised = closed_form.posterior_mean(
      x + mean,
      jnp.broadcast_to(sigma, x.shape[:1]),
      pairs.target,
      log_prior=log_prior,
    )
    return denoised - mean
