"""The only loop over noise levels.

A step is a function `step_fn(key, x, sigma, sigma_next, denoise_fn) -> x`. The
loop scans it over neighbouring pairs of a decreasing grid that ends in 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.types import BoundDenoiseFn, ProjectFn

Array = jax.Array
StepFn = Callable[[Array, Array, Array, Array, BoundDenoiseFn], Array]


def constrain(
  key: Array, denoise_fn: BoundDenoiseFn, project_fn: ProjectFn | None
) -> BoundDenoiseFn:
  """The denoiser whose clean estimate is passed through a constraint."""
  if project_fn is None:
    return denoise_fn

  def constrained_fn(x: Array, sigma: Array) -> Array:
    return project_fn(key, denoise_fn(x, sigma), sigma)

  return constrained_fn


def scan_sigmas(
  key: Array,
  step_fn: StepFn,
  denoise_fn: BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  project_fn: ProjectFn | None = None,
  return_trajectory: bool = False,
) -> Array:
  """Takes x from the first noise level of a grid to its last.

  Args:
    key: One key, or a key [B] for each sample. Step t draws
      from fold_in(key, t): 0 of that for the constraint, 1 for its noise.
    step_fn: One step between neighbouring levels.
    denoise_fn: `(x, sigma) -> denoised`, the condition bound.
    x: Samples at level sigmas[0], [B, ...]; sigmas[0] times normal noise, to
      start from nothing.
    sigmas: Decreasing grid [T+1], the last 0.
    project_fn: Constraint on every clean estimate, or None.
    return_trajectory: Whether to return the states at all levels.

  Returns:
    Samples at the last level, [B, ...], or all states [T+1, B, ...], the first
    of them the given x.
  """

  def body(
    x: Array, step: tuple[Array, Array, Array]
  ) -> tuple[Array, Array | None]:
    index, sigma, sigma_next = step
    step_key = arrays.fold_in(key, index)
    project_key, noise_key = (arrays.fold_in(step_key, i) for i in range(2))
    constrained_fn = constrain(project_key, denoise_fn, project_fn)
    x = step_fn(noise_key, x, sigma, sigma_next, constrained_fn)
    return x, (x if return_trajectory else None)

  steps = (jnp.arange(len(sigmas) - 1), sigmas[:-1], sigmas[1:])
  last, states = jax.lax.scan(body, x, steps)
  if states is None:
    return last
  return jnp.concatenate([x[None], states])
