"""Running steps over a whole path of noise levels, checked before the work."""

from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.sampling import loop, steps
from internal_diffusion.sampling.loop import ScanOptions
from internal_diffusion.types import BoundDenoiseFn, Denoiser

Array = jax.Array


def sample_path(
  key: Array,
  step_fn: loop.StepFn,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  **options: Unpack[ScanOptions],
) -> Array:
  """`loop.scan_sigmas` over a path that ends in 0 and may rise.

  Raises:
    ValueError: If the path does not fit; see `check_path`.
    NonFiniteStateError: If a state is not finite.
  """
  sigmas = check_path(sigmas)
  step_fn = steps.with_rises(step_fn)
  return loop.scan_sigmas(key, step_fn, denoiser, x, sigmas, **options)


def check_path(sigmas: Array, *, may_rise: bool = True) -> Array:
  """A path of noise levels as an array, [T+1].

  Traced values, inside a compiled function, are not checked.

  Args:
    sigmas: Noise levels that end in 0.
    may_rise: Whether a level may be above the one before it.

  Raises:
    ValueError: If it is no vector of at least two finite levels from 0, does
      not end in 0, or rises where it may not.
  """
  if isinstance(sigmas, jax.core.Tracer):
    return sigmas
  grid = np.asarray(sigmas)
  is_vector = grid.ndim == 1 and len(grid) > 1 and grid.dtype.kind in 'fiu'
  if not is_vector:
    found = f'an array of shape {grid.shape} and type {grid.dtype}'
  else:
    found = f'{len(grid)} levels from {grid[0]:.4g} to {grid[-1]:.4g}'
  is_path = is_vector and grid[-1] == 0 and (grid >= 0).all()
  if not is_path or not np.isfinite(grid).all():
    raise ValueError(
      '`sigmas` must be a vector of at least two noise levels, at least 0,'
      f' that ends in 0, got {found}.'
    )
  if not may_rise and (np.diff(grid) >= 0).any():
    raise ValueError(f'`sigmas` must fall from level to level, got {found}.')
  return jnp.asarray(sigmas, jnp.result_type(float))
