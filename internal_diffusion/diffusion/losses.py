"""Denoising score matching: draws of sigma, weights and the loss.

  loss = E  weight(sigma) |D(x0 + sigma eps; sigma) - x0|^2

For every positive weight the minimiser is the posterior mean E[x0 | x] (Vincent
2011). The weight and the distribution of sigma decide how a finite network
spends its capacity.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.diffusion import predictions
from internal_diffusion.diffusion.processes import NoiseProcess, noise_level
from internal_diffusion.types import BoundDenoiseFn, Condition, DenoiseFn

Array = jax.Array


def stratified_uniform(key: Array, index: Array, num: int) -> Array:
  """Uniform samples on [0, 1) that cover it evenly (Kingma et al. 2021, I.1).

  One sample is in each of `num` strata, which lowers the loss's variance.

  Args:
    key: One key for the whole batch.
    index: Members of the batch, [B] int32, whose samples [B] are returned.
    num: Size of the whole batch.
  """
  return (index / num + jax.random.uniform(key)) % 1.0


def lognormal_sigma(uniform: Array, *, mean: float, std: float) -> Array:
  """Noise levels with ln sigma ~ N(mean, std^2) (Karras et al. 2022).

  They are quantiles [B] at uniform samples on [0, 1), [B].
  """
  # The quantile function is infinite at 0 and 1.
  margin = 1e-6
  normal = jax.scipy.special.ndtri(jnp.clip(uniform, margin, 1 - margin))
  return jnp.exp(mean + std * normal)


def loguniform_sigma(
  uniform: Array, *, sigma_min: float, sigma_max: float
) -> Array:
  """Noise levels with ln sigma ~ U(ln sigma_min, ln sigma_max).

  They are quantiles [B] at uniform samples on [0, 1), [B].
  """
  low, high = jnp.log(sigma_min), jnp.log(sigma_max)
  return jnp.exp(low + uniform * (high - low))


def ladder_sigma(
  uniform: Array, *, sigma_min: float, sigma_max: float, num_levels: int
) -> Array:
  """Noise levels drawn from a geometric ladder (Song & Ermon 2019).

  They are the `num_levels` levels from `sigma_min` to `sigma_max`, each with
  the same probability, at uniform samples on [0, 1), [B].
  """
  step = arrays.index_from_uniform(uniform, num_levels)
  low, high = jnp.log(sigma_min), jnp.log(sigma_max)
  return jnp.exp(low + step / max(num_levels - 1, 1) * (high - low))


def process_sigma(uniform: Array, process: NoiseProcess) -> Array:
  """Unit-scale noise levels at uniform times of a process.

  They are quantiles [B] at uniform samples on [0, 1), [B]. DDPM (Ho et al.
  2020) and flow matching (Lipman et al. 2023) train with them.
  """
  # There is no noise at time 0.
  time = jnp.maximum(uniform, 1e-5) * process.max_time
  return noise_level(process, time)


def edm_weight(sigma: Array, sigma_data: Array) -> Array:
  """Weight 1 / c_out^2 of EDM (Karras et al. 2022, eq. 8).

  The error of the raw network then has weight 1. For noise levels [B], the
  weights have the shape of `sigma_data`, which broadcasts with [B, D].
  """
  chex.assert_rank(sigma, 1)
  sigma = sigma[:, None]
  return (sigma_data**2 + sigma**2) / (sigma * sigma_data) ** 2


def wiener_weight(
  sigma: Array, sigma_data: Array, *, sizes: Sequence[int] | None = None
) -> Array:
  """Inverse of the mean squared error of the data's Wiener filter.

  The filter is c_skip of `preconditioning.edm_coefficients`; its error in a
  component of standard deviation s has variance s^2 sigma^2 / (s^2 + sigma^2).
  With this weight the filter has loss 1 at every sigma, so all noise levels
  contribute equally. Each part of a vector is weighted by itself, so that a
  long patch and a short displacement contribute equally.

  Args:
    sigma: Noise levels, [B].
    sigma_data: Standard deviation of each component, [1, D] or [B, D].
    sizes: Lengths of the parts, which sum to D; None is one part.

  Returns:
    Weights, [B, D].
  """
  chex.assert_rank([sigma, sigma_data], [1, 2])
  sigma = sigma[:, None]
  error = (sigma_data * sigma) ** 2 / (sigma_data**2 + sigma**2)
  num = error.shape[-1]
  weights, start = [], 0
  for size in sizes or (num,):
    part = error[:, start : start + size]
    # Makes the mean over all D components the mean over the parts.
    factor = num / (size * len(sizes or (num,)))
    weight = factor / jnp.mean(part, axis=-1, keepdims=True)
    weights.append(jnp.broadcast_to(weight, part.shape))
    start += size
  return jnp.concatenate(weights, axis=-1)


def snr_weight(sigma: Array, *, max_snr: float = float('inf')) -> Array:
  """Weight min(1/sigma^2, max_snr), [B, 1], for noise levels [B].

  Without the bound it gives the loss on eps (Ho et al. 2020); with it, min-SNR
  weighting (Hang et al. 2023).
  """
  chex.assert_rank(sigma, 1)
  return jnp.minimum(1 / sigma**2, max_snr)[:, None]


def uniform_weight(sigma: Array) -> Array:
  """Weight 1 at every noise level, [B, 1]: the plain loss on x0."""
  return jnp.ones_like(sigma)[:, None]


def score_matching_loss(
  key: Array,
  score_fn: DenoiseFn,
  x0: Array,
  cond: Condition | None,
  sigma: Array,
) -> Array:
  """Denoising score matching (Vincent 2011; Song & Ermon 2019, eq. 5 and 6).

  sigma^2 |s(x; sigma) + eps / sigma|^2, whose minimiser s is the score. It is
  `denoising_loss` of D = x + sigma^2 s with `snr_weight`.

  Args:
    key: One key, or keys [B].
    score_fn: `(x, sigma, cond) -> score`, [B, D].
    x0: Clean samples, [B, D].
    cond: Conditions, or None.
    sigma: Noise levels, [B].

  Returns:
    Mean over the components of each sample, [B].
  """

  def denoise_fn(
    x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    score = score_fn(x, sigma, cond)
    return predictions.score_to_x0(score, x, jnp.ones_like(sigma), sigma)

  return denoising_loss(key, denoise_fn, x0, cond, sigma, snr_weight(sigma))


def denoising_loss(
  key: Array,
  denoise_fn: DenoiseFn,
  x0: Array,
  cond: Condition | None,
  sigma: Array,
  weight: Array | BoundDenoiseFn,
  *,
  target_fn: BoundDenoiseFn | None = None,
) -> Array:
  """Weighted squared error of the denoiser, for each sample.

  Args:
    key: One key, or keys [B].
    denoise_fn: Denoiser.
    x0: Clean samples, [B, D].
    cond: Conditions, or None.
    sigma: Noise levels, [B].
    weight: Weights, broadcasting with [B, D], or a function of the noisy
      samples, `(x, sigma) -> weights`, whose gradient does not count.
    target_fn: `(x, sigma) -> [B, D]`, estimate of E[x0 | x] with a lower
      variance than x0 as regression target (Xu et al. 2023); None is x0.

  Returns:
    Mean over the components of each sample, [B].
  """
  chex.assert_rank([x0, sigma], [2, 1])
  chex.assert_equal_shape_prefix([x0, sigma], 1)
  x = x0 + sigma[:, None] * arrays.normal(key, x0.shape)
  target = (
    x0 if target_fn is None else jax.lax.stop_gradient(target_fn(x, sigma))
  )
  if callable(weight):
    weight = jax.lax.stop_gradient(weight(x, sigma))
  return jnp.mean(weight * (denoise_fn(x, sigma, cond) - target) ** 2, axis=-1)
