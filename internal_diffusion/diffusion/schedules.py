"""Grids of noise levels for samplers: decreasing, [num_steps + 1], last one 0.

All are unit-scale noise levels sigma / alpha, computed in float64 on the host.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.diffusion import processes

Array = jax.Array


def _check(num_steps: int, sigma_min: float, sigma_max: float) -> None:
  arrays.check_positive_int('num_steps', num_steps)
  if not 0 < sigma_min < sigma_max < float('inf'):
    raise ValueError(
      '0 < `sigma_min` < `sigma_max` < inf must hold, got'
      f' {sigma_min} and {sigma_max}.'
    )


def _ending_in_zero(sigmas: np.ndarray) -> Array:
  return jnp.asarray(np.append(sigmas, 0.0), jnp.float32)


def _fractions(num_steps: int) -> np.ndarray:
  """`num_steps` values from 0 to 1; only 0 for one step."""
  return np.arange(num_steps) / max(num_steps - 1, 1)


def karras_sigmas(
  num_steps: int,
  *,
  sigma_min: float = 0.002,
  sigma_max: float = 80.0,
  rho: float = 7.0,
) -> Array:
  """Grid uniform in sigma^(1/rho) (Karras et al. 2022, eq. 5).

  Args:
    num_steps: Number of sampler steps T.
    sigma_min: Lowest noise level before 0.
    sigma_max: Highest noise level.
    rho: Exponent of the grid.

  Returns:
    Noise levels, float32 [T + 1].

  Raises:
    ValueError: If an option is out of range.

  Example:
    >>> karras_sigmas(3, sigma_min=1.0, sigma_max=9.0, rho=2.0).tolist()
    [9.0, 4.0, 1.0, 0.0]
  """
  _check(num_steps, sigma_min, sigma_max)
  arrays.check_in_range('rho', rho, 0, float('inf'), open_low=True)
  high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
  return _ending_in_zero((high + _fractions(num_steps) * (low - high)) ** rho)


def linear_sigmas(
  num_steps: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0
) -> Array:
  """Grid uniform in sigma; options as in `karras_sigmas`."""
  return karras_sigmas(
    num_steps, sigma_min=sigma_min, sigma_max=sigma_max, rho=1.0
  )


def exponential_sigmas(
  num_steps: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0
) -> Array:
  """Grid uniform in log sigma, the limit of `karras_sigmas` as rho grows."""
  _check(num_steps, sigma_min, sigma_max)
  high, low = np.log(sigma_max), np.log(sigma_min)
  return _ending_in_zero(np.exp(high + _fractions(num_steps) * (low - high)))


def cosine_sigmas(
  num_steps: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0
) -> Array:
  """Grid uniform in arctan(sigma), the angle in which alpha is a cosine."""
  _check(num_steps, sigma_min, sigma_max)
  high, low = np.arctan(sigma_max), np.arctan(sigma_min)
  return _ending_in_zero(np.tan(high + _fractions(num_steps) * (low - high)))


def process_sigmas(num_steps: int, process: processes.NoiseProcess) -> Array:
  """Grid uniform in a process's own time, from `max_time` to 0."""
  arrays.check_positive_int('num_steps', num_steps)
  times = process.max_time * (1 - np.arange(num_steps) / num_steps)
  levels = processes.noise_level(process, jnp.asarray(times))
  return _ending_in_zero(np.asarray(levels))
