"""The stochastic equation of a noise process, forward and reverse.

A process x_t = alpha(t) x0 + sigma(t) eps solves dx = f(t) x dt + g(t) dw
(`diffusion.sdes`). Reversed in time (Anderson 1982; Song et al. 2021, eq. 6),

  dx = (f x - g^2 score) dt + g dw.

The steps here discretise it in the process's own coordinate and time. Like all
steps they receive and return the unit scale, x_t / alpha: the coordinates are
converted at the border. They differ by process, unlike the other steps.

  Euler-Maruyama       the drift and g at the beginning of the step
  reverse diffusion    the functions of the forward transition from t' to t,
                       x_t = a x_t' + G z, in the reverse equation (Song et al.
                       2021, appendix E): x_t' = (2 - a) x_t + G^2 score + G z

Ancestral sampling (their appendix F) is `steps.ddim_step` with eta 1, in every
process's coordinate.
"""

import functools
from typing import Unpack

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.diffusion import processes, sdes
from internal_diffusion.diffusion.processes import NoiseProcess
from internal_diffusion.sampling import loop
from internal_diffusion.sampling.loop import ScanOptions
from internal_diffusion.sampling.path import sample_path
from internal_diffusion.types import BoundDenoiseFn, Denoiser

Array = jax.Array


def simulate_forward(
  key: Array,
  process: NoiseProcess,
  x0: Array,
  times: Array,
  *,
  return_trajectory: bool = False,
) -> Array:
  """Simulates a process forward in time by Euler-Maruyama.

  Args:
    key: One key, or one key for each sample.
    process: Noise process.
    x0: States at times[0], [B, ...], in the process's own coordinate.
    times: Increasing times, [T+1].
    return_trajectory: Whether to return the states at all times.

  Returns:
    States at the last time, [B, ...], or all states [T+1, B, ...].
  """

  def step_fn(
    key: Array, x: Array, time: Array, time_next: Array, _: BoundDenoiseFn
  ) -> Array:
    drift, diffusion = sdes.drift_and_diffusion(process, time)
    span = time_next - time
    noise = arrays.normal(key, x.shape)
    return x + drift * x * span + diffusion * jnp.sqrt(span) * noise

  return loop.scan_sigmas(
    key,
    step_fn,
    lambda x, time: x,  # A forward process has no denoiser.
    x0,
    times,
    return_trajectory=return_trajectory,
  )


def reverse_sde_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
  *,
  process: NoiseProcess,
) -> Array:
  """Euler-Maruyama on the reverse equation of a process."""
  denoised = denoise_fn(x, sigma)
  time, time_next = process.time(sigma), process.time(sigma_next)
  drift, diffusion = sdes.drift_and_diffusion(process, time)
  alpha = process.alpha(time)
  score = (denoised - x) / (alpha * sigma**2)  # In the process's coordinate.
  own = processes.from_unit_scale(process, x, time)
  span = time - time_next
  own -= (drift * own - diffusion**2 * score) * span
  own += diffusion * jnp.sqrt(span) * arrays.normal(key, x.shape)
  back = processes.to_unit_scale(process, own, time_next)
  return jnp.where(sigma_next > 0, back, denoised)


def reverse_diffusion_step(
  key: Array,
  x: Array,
  sigma: Array,
  sigma_next: Array,
  denoise_fn: BoundDenoiseFn,
  *,
  process: NoiseProcess,
) -> Array:
  """The reverse-diffusion predictor of a process."""
  denoised = denoise_fn(x, sigma)
  time, time_next = process.time(sigma), process.time(sigma_next)
  alpha = process.alpha(time)
  kept = alpha / process.alpha(time_next)
  variance = alpha**2 * (sigma**2 - sigma_next**2)
  score = (denoised - x) / (alpha * sigma**2)
  own = (2 - kept) * processes.from_unit_scale(process, x, time)
  own += variance * score + jnp.sqrt(variance) * arrays.normal(key, x.shape)
  back = processes.to_unit_scale(process, own, time_next)
  return jnp.where(sigma_next > 0, back, denoised)


def sample_reverse_sde(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  process: NoiseProcess,
  **options: Unpack[ScanOptions],
) -> Array:
  """The reverse equation of a process by Euler-Maruyama: T evaluations.

  `schedules.process_sigmas` makes a path uniform in the process's time. x and
  sigmas are in the unit scale, as for every sampler.
  """
  step_fn = functools.partial(reverse_sde_step, process=process)
  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def sample_reverse_diffusion(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  process: NoiseProcess,
  **options: Unpack[ScanOptions],
) -> Array:
  """The reverse-diffusion predictor of a process alone: T evaluations."""
  step_fn = functools.partial(reverse_diffusion_step, process=process)
  return sample_path(key, step_fn, denoiser, x, sigmas, **options)
