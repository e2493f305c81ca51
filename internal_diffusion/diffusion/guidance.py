"""Guidance: functions from a denoiser to a denoiser.

In the unit scale the score is (D(x; sigma) - x) / sigma^2 (Tweedie's formula,
Efron 2011), so a term added to the score is added to the denoiser times
sigma^2. By Bayes' rule

  D(x; sigma, c) = D(x; sigma) + sigma^2 grad_x log p(c | x; sigma);

guidance weighs the second term, `guidance_weight` w: 0 is the unconditional, 1
the conditional, and above 1 the condition counts for more than it should.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.types import Condition, DenoiseFn

Array = jax.Array

# `log_likelihood_fn(x, sigma, cond) -> log p(c | x; sigma)` up to a constant,
# [B].
LogLikelihoodFn = Callable[[Array, Array, Condition | None], Array]


def classifier_free_guidance(
  conditional_fn: DenoiseFn,
  unconditional_fn: DenoiseFn,
  *,
  guidance_weight: float,
) -> DenoiseFn:
  """D_u + w (D_c - D_u) (Ho & Salimans 2022, eq. 6, with w = 1 + theirs).

  Args:
    conditional_fn: The conditional denoiser D_c.
    unconditional_fn: The unconditional one D_u. It is given the same `cond`,
      of which it may use what is not guided.
    guidance_weight: w; at 0 and 1 only one of the two is evaluated.

  Returns:
    `denoise_fn(x, sigma, cond) -> denoised`.
  """
  _check_weight(guidance_weight)
  if guidance_weight == 0:
    return unconditional_fn
  if guidance_weight == 1:
    return conditional_fn

  def denoise_fn(
    x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    unconditional = unconditional_fn(x, sigma, cond)
    conditional = conditional_fn(x, sigma, cond)
    return unconditional + guidance_weight * (conditional - unconditional)

  return denoise_fn


def classifier_guidance(
  denoise_fn: DenoiseFn,
  log_likelihood_fn: LogLikelihoodFn,
  *,
  guidance_weight: float,
) -> DenoiseFn:
  """D + w sigma^2 grad_x log p(c | x; sigma) (Dhariwal & Nichol 2021, sec. 4).

  Args:
    denoise_fn: The unconditional denoiser D.
    log_likelihood_fn: `(x, sigma, cond) -> [B]`, the log likelihood of the
      condition given the noisy samples, each from its own sample only.
    guidance_weight: w.

  Returns:
    `denoise_fn(x, sigma, cond) -> denoised`.
  """
  _check_weight(guidance_weight)

  def guided_fn(x: Array, sigma: Array, cond: Condition | None = None) -> Array:
    slope = jax.grad(lambda y: jnp.sum(log_likelihood_fn(y, sigma, cond)))(x)
    variance = arrays.match_rank(sigma, x) ** 2
    return denoise_fn(x, sigma, cond) + guidance_weight * variance * slope

  return guided_fn


def dynamic_threshold(denoised: Array, *, quantile: float = 0.995) -> Array:
  """Brings clean estimates back to [-1, 1] (Saharia et al. 2022, sec. 2.3).

  Args:
    denoised: Clean estimates [B, ...].
    quantile: Of the absolute values of each sample, in (0, 1]. It becomes 1,
      and what is above it is clipped; where it is below 1 the sample is only
      clipped.

  Returns:
    [B, ...], in [-1, 1].
  """
  arrays.check_in_range('quantile', quantile, 0, 1, open_low=True)
  absolute = jnp.abs(denoised).reshape(denoised.shape[0], -1)
  bound = jnp.maximum(jnp.quantile(absolute, quantile, axis=-1), 1)
  bound = arrays.match_rank(bound, denoised)
  return jnp.clip(denoised, -bound, bound) / bound


def dynamic_thresholding(
  denoise_fn: DenoiseFn, *, quantile: float = 0.995
) -> DenoiseFn:
  """A denoiser whose estimates pass through `dynamic_threshold`.

  Args:
    denoise_fn: A denoiser of values that belong in [-1, 1], guided or not.
    quantile: As there.

  Returns:
    `denoise_fn(x, sigma, cond) -> denoised`.
  """
  arrays.check_in_range('quantile', quantile, 0, 1, open_low=True)

  def thresholded_fn(
    x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    return dynamic_threshold(denoise_fn(x, sigma, cond), quantile=quantile)

  return thresholded_fn


def _check_weight(guidance_weight: float) -> None:
  if not math.isfinite(guidance_weight):
    raise ValueError(
      f'`guidance_weight` must be finite, got {guidance_weight}.'
    )
