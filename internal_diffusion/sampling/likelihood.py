"""The exact density of a denoiser's prior, by its probability-flow ODE.

The ODE dx/dsigma = (x - D) / sigma, integrated upward, takes x to noise of
known density. On the way, the density changes by the divergence (Chen et al.
2018, eq. 8; Song et al. 2021, sec. 4.3):

  log p(x) = log p_max(x_max) + int (dim - tr dD/dx) / sigma dsigma.

The trace is exact, with one derivative for each component, so x must be short.
The integral is one more component of the state. Its own denoiser is chosen such
that the loop over noise levels integrates it along with x.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.sampling import loop, steps
from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array


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
  grid = np.asarray(sigmas)
  if grid.ndim != 1 or len(grid) < 2 or grid[0] <= 0 or min(np.diff(grid)) <= 0:
    raise ValueError(
      f'`sigmas` must be an increasing vector above 0, got {grid}.'
    )
  dim = x.shape[-1]

  def with_density(state: Array, sigma: Array) -> Array:
    x, log_ratio = state[:, :dim], state[:, dim:]
    denoised, derivative_fn = jax.linearize(lambda x: denoise_fn(x, sigma), x)
    # Not batched, for the reason given in `moments`.
    derivatives = [
      derivative_fn(jnp.broadcast_to(axis, x.shape)) for axis in jnp.eye(dim)
    ]
    trace = sum(d[:, i] for i, d in enumerate(derivatives))
    # dlog_ratio/dsigma = (log_ratio - target) / sigma.
    target = log_ratio - dim + jnp.asarray(trace)[:, None]
    return jnp.concatenate([denoised, target], axis=-1)

  start = jnp.concatenate([x, jnp.zeros((len(x), 1))], axis=-1)
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
  return log_normal + end[:, dim]
