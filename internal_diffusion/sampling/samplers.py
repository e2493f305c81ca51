"""Samplers: flat functions over a path of noise levels that ends in 0.

A path usually decreases. Where it rises from sigma_1 to sigma_2, a sampler adds
noise of standard deviation sqrt(sigma_2^2 - sigma_1^2); from 0 too.

All samplers have one signature, so that one can replace another,

  sample_*(key, denoiser, x, sigmas, *, cond=None, constraints=(),
           return_trajectory=False, ...options of its own)

with the arguments of `loop.scan_sigmas`; `functools.partial` binds the options.
A path that does not fit is refused by all; see `path.check_path`.
"""

import functools
import math
from typing import Protocol, Unpack

import jax

from internal_diffusion import arrays
from internal_diffusion.sampling import loop, steps
from internal_diffusion.sampling.loop import ScanOptions
from internal_diffusion.sampling.path import sample_path
from internal_diffusion.types import BoundDenoiseFn, Denoiser

Array = jax.Array


class Sampler(Protocol):
  """The signature of every sampler, its own options bound."""

  def __call__(
    self,
    key: Array,
    denoiser: Denoiser | BoundDenoiseFn,
    x: Array,
    sigmas: Array,
    **options: Unpack[ScanOptions],
  ) -> Array:
    """Takes x [B, ...] from noise level sigmas[0] to sigmas[-1]."""


def restore_half_quadratic(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """Half-quadratic splitting: one probable image, not a sample.

  See `steps.denoise_step`. x is a first estimate of the image, [B, ...].
  """
  return sample_path(key, steps.denoise_step, denoiser, x, sigmas, **options)


def sample_euler(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """Probability flow by Euler's method: T evaluations, order 1."""
  return sample_path(key, steps.euler_step, denoiser, x, sigmas, **options)


def sample_heun(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  s_churn: float = 0.0,
  s_tmin: float = 0.0,
  s_tmax: float = float('inf'),
  s_noise: float = 1.0,
  **options: Unpack[ScanOptions],
) -> Array:
  """Heun's method, optionally with churn: 2T - 1 evaluations, order 2.

  Churn (Karras et al. 2022, algorithm 2) is fresh noise of standard deviation
  `s_noise` at noise levels from `s_tmin` to `s_tmax`. `s_churn` is its total
  over the path, at least 0; 0 is the deterministic sampler.

  Raises:
    ValueError: If `s_churn` is negative.
  """
  arrays.check_in_range('s_churn', s_churn, 0, float('inf'))
  step_fn: loop.StepFn = steps.heun_step
  if s_churn:
    step_fn = functools.partial(
      steps.churn_step,
      gamma=min(s_churn / (len(sigmas) - 1), math.sqrt(2) - 1),
      s_tmin=s_tmin,
      s_tmax=s_tmax,
      s_noise=s_noise,
    )
  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def sample_ddim(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  eta: float = 0.0,
  **options: Unpack[ScanOptions],
) -> Array:
  """DDIM with fresh noise of scale `eta` in [0, 1]; T evaluations.

  0 is Euler's method; 1 is ancestral sampling, see `sample_ddpm`.

  Raises:
    ValueError: If `eta` is out of range.
  """
  arrays.check_in_range('eta', eta, 0, 1)
  step_fn = functools.partial(steps.ddim_step, eta=eta)
  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def sample_ddpm(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """Ancestral sampling (Ho et al. 2020, algorithm 2): DDIM with eta 1."""
  return sample_ddim(key, denoiser, x, sigmas, eta=1.0, **options)


def sample_euler_maruyama(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """The reverse SDE by Euler-Maruyama: T evaluations, many steps needed."""
  step_fn = steps.euler_maruyama_step
  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def sample_consistency(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """Samples of a consistency model: T evaluations, T from 1 to about 4.

  Each step takes x to the clean end of the flow and adds noise of the next
  level (Song et al. 2023, algorithm 1). With one step, sigmas is [sigma_max,
  0].
  """
  return sample_path(key, steps.renoise_step, denoiser, x, sigmas, **options)
