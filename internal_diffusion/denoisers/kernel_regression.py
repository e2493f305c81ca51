"""Kernel regression: the closed form of p(target | source), with noisy sources.

Given pairs (c_i, y_i) and a source c with noise of level sigma_aug,

  p(i | c) ~ exp(-|c - c_i|^2 / (2 sigma_aug^2)),

so the mean target is kernel regression of that bandwidth (Nadaraya 1964, Watson
1964), which a network trained with such noise converges to. The scale b is the
root mean squared difference of targets from the mean. Given a noisy residual
x = (y - mean) / b + sigma eps too,

  p(i | c, x) ~ p(i | c) exp(-|mean + b x - y_i|^2 / (2 b^2 sigma^2)).
"""

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers import closed_form
from internal_diffusion.types import Condition, static

Array = jax.Array

_SMALLEST_SCALE = 0.01  # Keeps residuals in units of the scale finite.


@flax.struct.dataclass
class KernelRegression:
  """The distribution of targets given features, from a finite set of pairs.

  As a denoiser it denoises residuals, which are targets minus their mean, in
  units of their scale.

  Attributes:
    features: Features c of the pairs, [N, F].
    target: Targets y of the pairs, [N, D].
    sigma_aug: Bandwidth.
  """

  features: Array
  target: Array
  sigma_aug: float = static()

  def mean(self, features: Array) -> Array:
    """Mean targets [B, D] given features [B, F]."""
    weight = jax.nn.softmax(self._log_prior(features), axis=-1)
    return weight @ self.target

  def scale(self, features: Array) -> Array:
    """Scales [B, D] of residuals given features [B, F], one for each target."""
    mean, scale = self._moments(self._log_prior(features))
    return jnp.broadcast_to(scale, mean.shape)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of residuals in units of their scale; see `Denoiser`.

    Args:
      x: Noisy residuals, [B, D].
      sigma: Noise level, scalar or [B].
      cond: Its vector holds the features, [B, F].

    Raises:
      ValueError: If there are no features.
    """
    if cond is None or cond.vector is None:
      raise ValueError('`cond.vector` must hold the features, got None.')
    log_prior = self._log_prior(cond.vector)
    mean, scale = self._moments(log_prior)
    denoised = closed_form.posterior_mean(
      mean + scale * x,
      scale[:, 0] * sigma,
      self.target,
      log_prior=log_prior,
    )
    return (denoised - mean) / scale

  def _log_prior(self, features: Array) -> Array:
    """Log-probabilities p(i | c) of pairs up to a constant, [B, N]."""
    sigma = jnp.full(len(features), self.sigma_aug)
    return closed_form.log_kernel(features, sigma, self.features)

  def _moments(self, log_prior: Array) -> tuple[Array, Array]:
    """Mean [B, D] and scale [B, 1] of targets."""
    weight = jax.nn.softmax(log_prior, axis=-1)
    mean = weight @ self.target
    square = weight @ jnp.mean(self.target**2, axis=-1, keepdims=True)
    variance = square - jnp.mean(mean**2, axis=-1, keepdims=True)
    return mean, jnp.sqrt(jnp.maximum(variance, _SMALLEST_SCALE**2))
