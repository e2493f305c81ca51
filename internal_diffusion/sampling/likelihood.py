"""The exact density that a denoiser describes, by its probability-flow ODE.

The ODE that a sampler follows down, dx/dsigma = (x - D) / sigma, followed up
takes x to noise, whose density is known. On the way, the density changes by the
divergence (Chen et al. 2018, eq. 8; Song et al. 2021, sec. 4.3):

  log p(x) = log p_max(x_max) + int (dim - tr dD/dx) / sigma dsigma.

Where x is short, the trace is taken exactly, a derivative for each component.
The integral is carried along as a component of the state whose own denoiser is
chosen such that it moves as it should, so the loop over levels is the
samplers'.
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
  """Log density of x0 with noise of the lowest level, by Heun's method.

  Args:
    denoise_fn: `(x [N, D], sigma) -> denoised`, each from its own x only.
    x: [N, D].
    sigmas: Increasing grid of levels. The first is the smoothing of the
      density and must be above 0; the last is far above the spread of x0.

  Returns:
    [N], in natural units (nats).

  Raises:
    ValueError: If the grid is not one.
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
    # One by one, as in `moments`.
    derivatives = [
      derivative_fn(jnp.broadcast_to(axis, x.shape)) for axis in jnp.eye(dim)
    ]
    trace = sum(d[:, i] for i, d in enumerate(derivatives))
    # dlog_ratio/dsigma = (log_ratio - this) / sigma.
    moving = log_ratio - dim + jnp.asarray(trace)[:, None]
    return jnp.concatenate([denoised, moving], axis=-1)

  start = jnp.concatenate([x, jnp.zeros((len(x), 1))], axis=-1)
  end = loop.scan_sigmas(
    jax.random.key(0),  # Nothing is drawn.
    steps.heun_step,
    with_density,
    start,
    jnp.asarray(grid, x.dtype),
  )
  # What is not the mean of x0 is noise.
  mean = denoise_fn(end[:, :dim], jnp.asarray(grid[-1], x.dtype))
  noise = (end[:, :dim] - mean) / grid[-1]
  log_normal = -jnp.sum(noise**2, -1) / 2 - dim * np.log(
    np.sqrt(2 * np.pi) * grid[-1]
  )
  return log_normal + end[:, dim]
