"""Samplers: flat functions over a decreasing grid of noise levels ending in 0.

All have one signature, so that one may stand for another,

  sample_*(key, denoise_fn, x, sigmas, *, project_fn=None,
           return_trajectory=False, ...options of its own)

with the meaning of `loop.scan_sigmas`; `functools.partial` binds the options.
"""

import math
from typing import Protocol

import jax

from internal_diffusion import arrays
from internal_diffusion.sampling import loop, steps
from internal_diffusion.types import BoundDenoiseFn, ProjectFn

Array = jax.Array


class Sampler(Protocol):
  """What every sampler is, its own options bound."""

  def __call__(
    self,
    key: Array,
    denoise_fn: BoundDenoiseFn,
    x: Array,
    sigmas: Array,
    *,
    project_fn: ProjectFn | None = None,
    return_trajectory: bool = False,
  ) -> Array:
    """Takes x [B, ...] from level sigmas[0] to sigmas[-1]."""


def sample_euler(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """Probability flow by Euler's method: T evaluations, order 1."""
  return loop.scan_sigmas(
    key,
    steps.euler_step,
    denoise_fn,
    x,
    sigmas,
    project_fn=project_fn,
    return_trajectory=return_trajectory,
  )


def sample_heun(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  s_churn: float = 0.0,
  s_tmin: float = 0.0,
  s_tmax: float = float('inf'),
  s_noise: float = 1.0,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """Heun's method, with churn if asked for: 2T - 1 evaluations, order 2.

  Args:
    key: See the module.
    denoise_fn: See the module.
    x: See the module.
    sigmas: See the module.
    s_churn: Total churn over the grid, at least 0 (Karras et al. 2022,
      algorithm 2); 0 is the deterministic sampler.
    s_tmin: Lowest level that is churned.
    s_tmax: Highest level that is churned.
    s_noise: Standard deviation of the churn's noise.
    project_fn: See the module.
    return_trajectory: See the module.

  Raises:
    ValueError: If `s_churn` is negative.
  """
  arrays.check_in_range('s_churn', s_churn, 0, float('inf'))
  gamma = min(s_churn / (len(sigmas) - 1), math.sqrt(2) - 1)

  def step_fn(
    key: Array, x: Array, sigma: Array, sigma_next: Array, fn: BoundDenoiseFn
  ) -> Array:
    if not gamma:
      return steps.heun_step(key, x, sigma, sigma_next, fn)
    return steps.churn_step(
      key,
      x,
      sigma,
      sigma_next,
      fn,
      gamma=gamma,
      s_tmin=s_tmin,
      s_tmax=s_tmax,
      s_noise=s_noise,
    )

  return loop.scan_sigmas(
    key,
    step_fn,
    denoise_fn,
    x,
    sigmas,
    project_fn=project_fn,
    return_trajectory=return_trajectory,
  )


def sample_ddim(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  eta: float = 0.0,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """DDIM with a share `eta` in [0, 1] of fresh noise; T evaluations.

  0 is Euler's method; 1 is ancestral sampling, see `sample_ddpm`.

  Raises:
    ValueError: If `eta` is out of range.
  """
  arrays.check_in_range('eta', eta, 0, 1)

  def step_fn(
    key: Array, x: Array, sigma: Array, sigma_next: Array, fn: BoundDenoiseFn
  ) -> Array:
    return steps.ddim_step(key, x, sigma, sigma_next, fn, eta=eta)

  return loop.scan_sigmas(
    key,
    step_fn,
    denoise_fn,
    x,
    sigmas,
    project_fn=project_fn,
    return_trajectory=return_trajectory,
  )


def sample_ddpm(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """Ancestral sampling (Ho et al. 2020, algorithm 2): DDIM with eta 1."""
  return sample_ddim(
    key,
    denoise_fn,
    x,
    sigmas,
    eta=1.0,
    project_fn=project_fn,
    return_trajectory=return_trajectory,
  )


def sample_euler_maruyama(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """The reverse SDE by Euler-Maruyama: T evaluations, many steps needed."""
  return loop.scan_sigmas(
    key,
    steps.euler_maruyama_step,
    denoise_fn,
    x,
    sigmas,
    project_fn=project_fn,
    return_trajectory=return_trajectory,
  )
