"""The density of a denoiser's prior, by its probability-flow ODE.

The ODE dx/dsigma = (x - D) / sigma, integrated upward, takes x to noise of
known density. On the way, the density changes by the divergence (Chen et al.
2018, eq. 8; Song et al. 2021, sec. 4.3):

  log p(x) = log p_max(x_max) + int (dim - tr dD/dx) / sigma dsigma.

The trace is exact, with one derivative for each component, or an estimate
(Hutchinson 1990): tr J = E[v^T J v] for random signs v, with one derivative for
each probe v. The flow does not depend on the probes, so each gives an unbiased
estimate of log p, and their spread gives the standard error.

The integral is one more component of the state, or one for each probe. Its own
denoiser is chosen such that the loop over noise levels integrates it with x.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.sampling import loop, steps
from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array

_GREY_LEVEL = 2 / 255  # Distance of two values of an 8-bit image.


class DensityEstimate(NamedTuple):
  """Estimates of log densities.

  Attributes:
    value: Log densities in nats, [N].
    std_error: Standard errors of them, [N], by the spread of the probes.
  """

  value: Array
  std_error: Array


def log_density(
  denoise_fn: BoundDenoiseFn, x: Array, sigmas: Array | np.ndarray
) -> Array:
  """Log density of x0 with noise of the lowest noise level, by Heun's method.

  Args:
    denoise_fn: `(x [N, D], sigma) -> denoised`; each row depends on its own x.
    x: Points, [N, D].
    sigmas: Increasing noise levels, [T+1]. The first smooths the density and
      must be above 0; the last must be far above the standard deviation of x0.

  Returns:
    Log densities in nats, [N].

  Raises:
    ValueError: If `sigmas` is not increasing or not above 0.
  """
  return _log_densities(denoise_fn, x, sigmas, jnp.eye(x.shape[-1]), None)[:, 0]


def estimate_log_density(
  key: Array,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array | np.ndarray,
  *,
  num_probes: int = 8,
) -> DensityEstimate:
  """`log_density` with Hutchinson's estimate of the trace, for long vectors.

  Args:
    key: One key.
    denoise_fn: See `log_density`, like all arguments but these:
    x: Points, [N, D].
    sigmas: Increasing noise levels, [T+1].
    num_probes: Number of probes, at least 2; each costs a derivative.

  Raises:
    ValueError: If `sigmas` or `num_probes` is out of range.
  """
  arrays.check_in_range('num_probes', num_probes, 2, float('inf'))
  probes = jax.random.rademacher(key, (num_probes, *x.shape), x.dtype)
  found = _log_densities(denoise_fn, x, sigmas, probes, num_probes)
  spread = jnp.std(found, axis=-1, ddof=1)
  return DensityEstimate(jnp.mean(found, axis=-1), spread / np.sqrt(num_probes))


def bits_per_dimension(
  log_density: Array | np.ndarray | float, *, dim: int
) -> Array | np.ndarray | float:
  """Bits of 8-bit values whose log density, on [-1, 1], is given in nats.

  A value with uniform noise of one grey level is worth its density times the
  grey level (Theis et al. 2016, sec. 3.1).

  Raises:
    ValueError: If `dim` is no positive number.

  Example:
    >>> uniform = -2 * np.log(2.0)  # Two values, each of density 1/2.
    >>> round(float(bits_per_dimension(uniform, dim=2)), 2)
    7.99
  """
  arrays.check_positive_int('dim', dim)
  return (-log_density / dim - np.log(_GREY_LEVEL)) / np.log(2)


def _log_densities(
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array | np.ndarray,
  directions: Array,
  num_probes: int | None,
) -> Array:
  """Log densities [N, K], one for each probe, or [N, 1] of all axes."""
  grid = np.asarray(sigmas)
  if grid.ndim != 1 or len(grid) < 2 or grid[0] <= 0 or min(np.diff(grid)) <= 0:
    raise ValueError(
      f'`sigmas` must be an increasing vector above 0, got {grid}.'
    )
  dim = x.shape[-1]

  def with_density(state: Array, sigma: Array) -> Array:
    x, log_ratio = state[:, :dim], state[:, dim:]
    denoised, derivative_fn = jax.linearize(lambda x: denoise_fn(x, sigma), x)
    along = _quadratic_forms(derivative_fn, directions, x.shape)
    if num_probes is None:
      along = jnp.sum(along, axis=-1, keepdims=True)
    # dlog_ratio/dsigma = (log_ratio - target) / sigma.
    return jnp.concatenate([denoised, log_ratio - dim + along], axis=-1)

  start = jnp.concatenate([x, jnp.zeros((len(x), num_probes or 1))], axis=-1)
  end = loop.scan_sigmas(
    jax.random.key(0),  # Unused: the steps are deterministic.
    steps.heun_step,
    with_density,
    start,
    jnp.asarray(grid, x.dtype),
  )
  # At the highest noise level, x minus the mean of x0 is noise.
  mean = denoise_fn(end[:, :dim], jnp.asarray(grid[-1], x.dtype))
  noise = (end[:, :dim] - mean) / grid[-1]
  log_normal = -jnp.sum(noise**2, -1) / 2 - dim * np.log(
    np.sqrt(2 * np.pi) * grid[-1]
  )
  return log_normal[:, None] + end[:, dim:]


def _quadratic_forms(
  derivative_fn: Callable[[Array], Array],
  directions: Array,
  shape: tuple[int, ...],
) -> Array:
  """v^T J v, [N, K], for directions v [K, D] or [K, N, D]."""

  def form(direction: Array) -> Array:
    direction = jnp.broadcast_to(direction, shape)
    return jnp.sum(direction * derivative_fn(direction), axis=-1)

  # One after the other, not batched, for the reason given in `moments`.
  return jax.lax.map(form, directions).T
