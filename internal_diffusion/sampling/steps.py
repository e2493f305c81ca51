"""One step of each sampler, in the unit scale x = x0 + sigma eps.

A step takes samples [B, ...] from the noise level sigma to sigma_next, scalars.
The probability-flow equation is dx/dsigma = (x - D(x; sigma)) / sigma (Karras
et al. 2022, eq. 3). At sigma_next = 0 every step returns the clean estimate.
A step that draws noise takes one key, or one key for each sample.
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.sampling.loop import StepFn
from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array


def with_rises(step_fn: StepFn) -> StepFn:
  """The step for paths that rise again in places.

  A rise from sigma to sigma_next > sigma is the forward process: it adds noise
  of standard deviation sqrt(sigma_next^2 - sigma^2). All other steps are
  `step_fn`'s.
  """

  def step(
    key: Array,
    x: Array,
    sigma: Array,
    sigma_next: Array,
    denoise_fn: BoundDenoiseFn,
  ) -> Array:
    def rise(x: Array) -> Array:
      added = jnp.sqrt(sigma_next**2 - sigma**2)
      return x + added * arrays.normal(key, x.shape).astype(x.dtype)

    def descend(x: Array) -> Array:
      return step_fn(key, x, sigma, sigma_next, denoise_fn)

    return jax.lax.cond(sigma_next > sigma, rise, descend, x)

  return step


def euler_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
) -> Array:
  """Euler's method, order 1, one evaluation; the same as DDIM with eta 0."""
  del key
  slope = (x - denoise_fn(x, sigma)) / sigma
  return x + (sigma_next - sigma) * slope


def denoise_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
) -> Array:
  """The clean estimate itself, without noise, as the next state.

  With constraints this is half-quadratic splitting (Zoran & Weiss 2011) or
  plug-and-play restoration: a search for the most probable image.
  """
  del key, sigma_next
  return denoise_fn(x, sigma)


def heun_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
) -> Array:
  """Heun's method, order 2, two evaluations (Karras et al. 2022, algorithm 1).

  The step to 0 is Euler's, because the slope is not defined there.
  """
  slope = (x - denoise_fn(x, sigma)) / sigma
  x_euler = x + (sigma_next - sigma) * slope

  def correct(x_euler: Array) -> Array:
    slope_next = (x_euler - denoise_fn(x_euler, sigma_next)) / sigma_next
    return x + (sigma_next - sigma) * (slope + slope_next) / 2

  return jax.lax.cond(sigma_next > 0, correct, lambda y: y, x_euler)


def churn_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
  *,
  gamma: float,
  s_tmin: float,
  s_tmax: float,
  s_noise: float,
) -> Array:
  """Stochastic Heun (Karras et al. 2022, algorithm 2).

  Fresh noise raises the noise level to sigma (1 + gamma), where gamma is
  min(s_churn / T, sqrt(2) - 1); then a Heun step goes down to sigma_next. Noise
  is added only at levels from `s_tmin` to `s_tmax`. Its standard deviation
  `s_noise`, slightly above 1, makes up for detail that an imperfect denoiser
  removes.
  """
  in_window = (sigma >= s_tmin) & (sigma <= s_tmax)
  raised = jnp.where(in_window, gamma, 0.0)
  sigma_hat = sigma * (1 + raised)
  # sqrt(sigma_hat^2 - sigma^2), in a form that is exactly 0 outside the window:
  # the rounding error of a difference of squares would have a visible root.
  added = sigma * jnp.sqrt(raised * (2 + raised))
  x = x + added * s_noise * arrays.normal(key, x.shape)
  return heun_step(key, x, sigma_hat, sigma_next, denoise_fn)


def ddim_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
  *,
  eta: float,
) -> Array:
  """One DDIM step (Song et al. 2021, eq. 12 and 16, in the unit scale).

  The result has noise of standard deviation sigma_next. A fraction of it is
  fresh, `eta` times the ancestral sampler's; the remainder has the direction of
  the estimated noise. `eta` is in [0, 1]: 0 is DDIM, 1 is DDPM's posterior.
  """
  denoised = denoise_fn(x, sigma)
  eps = (x - denoised) / sigma
  # DDPM's posterior variance is sigma_next^2 (1 - sigma_next^2 / sigma^2).
  ratio = sigma_next / sigma
  fresh_fraction = eta * jnp.sqrt(1 - ratio**2)
  # The maximum guards against a fraction that rounds to just above 1.
  kept = sigma_next * jnp.sqrt(jnp.maximum(1 - fresh_fraction**2, 0.0))
  fresh = sigma_next * fresh_fraction
  x = denoised + kept * eps
  return x + fresh * arrays.normal(key, x.shape) if eta else x


def renoise_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
) -> Array:
  """The clean estimate with fresh noise (Song et al. 2023, algorithm 1).

  It is right for a consistency model, whose estimates are samples.
  """
  return denoise_fn(x, sigma) + sigma_next * arrays.normal(key, x.shape)


def euler_maruyama_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
) -> Array:
  """Euler-Maruyama on the reverse SDE (Song et al. 2021, eq. 6, alpha = 1).

  The forward process gains variance d(sigma^2), so the reverse drift over the
  step is (sigma^2 - sigma_next^2) score, twice the probability flow's to first
  order, and the noise has exactly that variance.
  """
  variance = sigma**2 - sigma_next**2
  score = (denoise_fn(x, sigma) - x) / sigma**2
  x = x + variance * score
  # The last step adds no noise: nothing would remove it.
  std = jnp.where(sigma_next > 0, jnp.sqrt(variance), 0.0)
  return x + std * arrays.normal(key, x.shape)
