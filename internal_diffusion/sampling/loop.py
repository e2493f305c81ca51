"""The only loop over noise levels.

A step is a function `step_fn(key, x, sigma, sigma_next, denoise_fn) -> x`. The
loop scans it over neighbouring pairs of a path of noise levels.
"""

from collections.abc import Callable, Sequence
from typing import TypedDict

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.sampling import finite
from internal_diffusion.sampling.constraints import Constraint, bind, project
from internal_diffusion.types import BoundDenoiseFn, Condition, Denoiser

Array = jax.Array
StepFn = Callable[[Array, Array, Array, Array, BoundDenoiseFn], Array]


class ScanOptions(TypedDict, total=False):
  """Options of every sampler.

  Attributes:
    cond: Condition of the denoiser; None calls it without one.
    constraints: Constraints on every clean estimate, applied in this order.
    return_trajectory: Whether to return the states at all noise levels.
  """

  cond: Condition | None
  constraints: Sequence[Constraint]
  return_trajectory: bool


def scan_sigmas(
  key: Array,
  step_fn: StepFn,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  cond: Condition | None = None,
  constraints: Sequence[Constraint] = (),
  return_trajectory: bool = False,
) -> Array:
  """Takes x from the first noise level of a path to its last.

  Args:
    key: One key, or one key for each sample, [B]. Step t uses fold_in(key, t):
      its child 0 for the constraints, its child 1 for its noise.
    step_fn: One step between neighbouring noise levels.
    denoiser: `(x, sigma) -> denoised`, or `(x, sigma, cond) -> denoised`.
    x: Samples at noise level sigmas[0], [B, ...]: sigmas[0] times normal noise,
      for samples of the prior.
    sigmas: Path of noise levels, [T+1].
    cond: See `ScanOptions`.
    constraints: See `ScanOptions`.
    return_trajectory: See `ScanOptions`.

  Returns:
    Samples at the last noise level, [B, ...], or all states [T+1, B, ...], the
    first of them the given x.

  Raises:
    ValueError: If the denoiser returns another shape than that of x.
    NonFiniteStateError: If a state is not finite; inside a compiled function,
      its caller checks that.
  """

  def scan(*, keep_states: bool) -> Array:
    return _scan(
      key, step_fn, denoiser, x, sigmas, cond, constraints, keep_states
    )

  found = scan(keep_states=return_trajectory)
  finite.check_states(found, sigmas, lambda: scan(keep_states=True))
  return found


def _scan(
  key: Array,
  step_fn: StepFn,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  cond: Condition | None,
  constraints: Sequence[Constraint],
  keep_states: bool,
) -> Array:
  """The last state, or all states [T+1, B, ...]."""
  bound_fn = bind(denoiser, cond, constraints)

  def body(
    x: Array, step: tuple[Array, Array, Array]
  ) -> tuple[Array, Array | None]:
    index, sigma, sigma_next = step
    step_key = arrays.fold_in(key, index)
    project_key, noise_key = (arrays.fold_in(step_key, i) for i in range(2))

    def constrained_fn(x: Array, sigma: Array) -> Array:
      denoised = bound_fn(x, sigma)
      if denoised.shape != x.shape:
        raise ValueError(
          f'`denoiser` must return the shape of x, {x.shape}, got'
          f' {denoised.shape}.'
        )
      return project(project_key, denoised, x, sigma, constraints)

    x = step_fn(noise_key, x, sigma, sigma_next, constrained_fn)
    return x, (x if keep_states else None)

  steps = (jnp.arange(len(sigmas) - 1), sigmas[:-1], sigmas[1:])
  last, states = jax.lax.scan(body, x, steps)
  if states is None:
    return last
  return jnp.concatenate([x[None], states])
