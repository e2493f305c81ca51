"""Denoising score matching: noise-level draws, weightings and the loss.

  loss = E  weight(sigma) |D(x0 + sigma eps; sigma) - x0|^2

Its minimiser is the posterior mean E[x0 | x] whatever the positive weight
(Vincent 2011); the weight and the draw of sigma say where a finite network
spends its capacity.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.diffusion.processes import NoiseProcess, noise_level
from internal_diffusion.types import BoundDenoiseFn, Condition, DenoiseFn

Array = jax.Array


def stratified_uniform(key: Array, index: Array, num: int) -> Array:
  """A uniform number for each of `num` strata (Kingma et al. 2021, I.1).

  Every number alone is uniform on [0, 1); together they cover it evenly, which
  lowers the variance of the loss.

  Args:
    key: One key for the whole batch.
    index: Which members of the batch to return, [B] int32.
    num: Size of the whole batch.

  Returns:
    [B], the numbers of the given members, the same however the batch is cut.
  """
  return (index / num + jax.random.uniform(key)) % 1.0


def lognormal_sigma(uniform: Array, *, mean: float, std: float) -> Array:
  """Quantiles of ln sigma ~ N(mean, std^2) (Karras et al. 2022)."""
  # Away from the ends, where the quantile function is infinite.
  margin = 1e-6
  normal = jax.scipy.special.ndtri(jnp.clip(uniform, margin, 1 - margin))
  return jnp.exp(mean + std * normal)


def loguniform_sigma(
  uniform: Array, *, sigma_min: float, sigma_max: float
) -> Array:
  """Ln sigma ~ U(ln sigma_min, ln sigma_max), by its quantile function."""
  low, high = jnp.log(sigma_min), jnp.log(sigma_max)
  return jnp.exp(low + uniform * (high - low))


def process_sigma(uniform: Array, process: NoiseProcess) -> Array:
  """Noise levels at times uniform in a process's own range, for uniform [B].

  The draw of DDPM (Ho et al. 2020) and of flow matching (Lipman et al. 2023).
  """
  # The end of the range at 0 is left out: it has no noise to remove.
  time = jnp.maximum(uniform, 1e-5) * process.max_time
  return noise_level(process, time)


def edm_weight(sigma: Array, sigma_data: Array) -> Array:
  """1 / c_out^2: the network's own error weighs 1 (Karras et al. 2022, eq. 8).

  Args:
    sigma: Noise levels [B].
    sigma_data: Standard deviation of the data, broadcasting with [B, D].

  Returns:
    Weights, broadcasting with [B, D].
  """
  level = sigma[:, None]
  return (sigma_data**2 + level**2) / (level * sigma_data) ** 2


def wiener_weight(
  sigma: Array, sigma_data: Array, *, sizes: Sequence[int] | None = None
) -> Array:
  """1 over the mean squared error of the data's Wiener filter.

  That filter, c_skip of `preconditioning.edm_coefficients`, leaves the variance
  s^2 sigma^2 / (s^2 + sigma^2) in a component of standard deviation s. So
  weighted, a loss of 1 is the filter's at every noise level, all levels count
  alike, and within a level all components count by their error in pixels.
  Where a vector consists of parts, a long patch and a short displacement say,
  each part is weighted so by itself and all parts count alike.

  Args:
    sigma: Noise levels [B].
    sigma_data: Standard deviation of each component, [1, D] or [B, D].
    sizes: Lengths of the parts, adding up to D; None is one part.

  Returns:
    [B, D].
  """
  level = sigma[:, None]
  error = (sigma_data * level) ** 2 / (sigma_data**2 + level**2)
  num = error.shape[-1]
  weights, start = [], 0
  for size in sizes or (num,):
    part = error[:, start : start + size]
    # The mean over all D components is then the mean over the parts.
    share = num / (size * len(sizes or (num,)))
    weight = share / jnp.mean(part, axis=-1, keepdims=True)
    weights.append(jnp.broadcast_to(weight, part.shape))
    start += size
  return jnp.concatenate(weights, axis=-1)


def snr_weight(sigma: Array, *, max_snr: float = float('inf')) -> Array:
  """min(1/sigma^2, max_snr), [B, 1].

  Without the bound it is the loss on eps (Ho et al. 2020); with it, min-SNR
  weighting (Hang et al. 2023).
  """
  return jnp.minimum(1 / sigma**2, max_snr)[:, None]


def uniform_weight(sigma: Array) -> Array:
  """1 at every level, [B, 1]: the plain loss on x0."""
  return jnp.ones_like(sigma)[:, None]


def denoising_loss(
  key: Array,
  denoise_fn: DenoiseFn,
  x0: Array,
  cond: Condition | None,
  sigma: Array,
  weight: Array,
  *,
  target_fn: BoundDenoiseFn | None = None,
) -> Array:
  """Weighted squared error of the denoiser, a number for each sample.

  Args:
    key: One key, or a key [B] for each sample.
    denoise_fn: The denoiser.
    x0: Clean samples [B, D].
    cond: Their conditions, or None.
    sigma: Noise levels [B].
    weight: Broadcasting with [B, D].
    target_fn: `(x, sigma) -> [B, D]`, an estimate of E[x0 | x] of less variance
      than x0 to regress on (Xu et al. 2023); None regresses on x0.

  Returns:
    [B], the mean over the components of each sample.
  """
  x = x0 + sigma[:, None] * arrays.normal(key, x0.shape)
  target = (
    x0 if target_fn is None else jax.lax.stop_gradient(target_fn(x, sigma))
  )
  return jnp.mean(weight * (denoise_fn(x, sigma, cond) - target) ** 2, axis=-1)
