"""Guidance: functions from a denoiser to a denoiser.

In the unit scale the score is (D(x; sigma) - x) / sigma^2 (Tweedie's formula,
Efron 2011), so a term of the score is sigma^2 times that term in the denoiser.
By Bayes' rule

  D(x; sigma, c) = D(x; sigma) + sigma^2 grad_x log p(c | x; sigma).

Guidance multiplies the second term by a weight w: w = 0 is the unconditional
denoiser, w = 1 the conditional one, and w > 1 overweights the condition.
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
    conditional_fn: Conditional denoiser D_c.
    unconditional_fn: Unconditional denoiser D_u. It receives the same `cond`
      and may use the parts that are not guided.
    guidance_weight: Weight w; with 0 or 1 only one denoiser is evaluated.

  Raises:
    ValueError: If the weight is not finite.

  Example:
    >>> guided = classifier_free_guidance(
    ...   lambda x, sigma, cond: x + 1.0,
    ...   lambda x, sigma, cond: x,
    ...   guidance_weight=3.0,
    ... )
    >>> float(guided(jnp.zeros(()), jnp.ones(())))
    3.0
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
    denoise_fn: Unconditional denoiser D.
    log_likelihood_fn: `(x, sigma, cond) -> [B]`, log likelihood of each
      sample's condition given the noisy sample.
    guidance_weight: Weight w.

  Raises:
    ValueError: If the weight is not finite.
  """
  _check_weight(guidance_weight)

  def guided_fn(x: Array, sigma: Array, cond: Condition | None = None) -> Array:
    gradient = jax.grad(lambda y: jnp.sum(log_likelihood_fn(y, sigma, cond)))(x)
    variance = arrays.match_rank(sigma, x) ** 2
    return denoise_fn(x, sigma, cond) + guidance_weight * variance * gradient

  return guided_fn


def dynamic_threshold(denoised: Array, *, quantile: float = 0.995) -> Array:
  """Dynamic thresholding to [-1, 1] (Saharia et al. 2022, sec. 2.3).

  Each clean estimate of a batch [B, ...] is clipped at a quantile of its
  absolute values, but at 1 or above, and divided by this bound.

  Raises:
    ValueError: If the quantile is not in (0, 1].

  Example:
    >>> dynamic_threshold(jnp.array([[0.5, -4.0]]), quantile=1.0).tolist()
    [[0.125, -1.0]]
  """
  arrays.check_in_range('quantile', quantile, 0, 1, open_low=True)
  absolute = jnp.abs(denoised).reshape(denoised.shape[0], -1)
  bound = jnp.maximum(jnp.quantile(absolute, quantile, axis=-1), 1)
  bound = arrays.match_rank(bound, denoised)
  return jnp.clip(denoised, -bound, bound) / bound


def dynamic_thresholding(
  denoise_fn: DenoiseFn, *, quantile: float = 0.995
) -> DenoiseFn:
  """Applies `dynamic_threshold` to a denoiser of values in [-1, 1].

  Raises:
    ValueError: If the quantile is not in (0, 1].
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
