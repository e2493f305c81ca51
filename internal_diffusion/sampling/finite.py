"""The check that the states of a sampler are finite, by step.

A state becomes NaN or infinite where a guidance weight or a step size is too
large for the denoiser, or where the denoiser itself fails. The check runs on
the host after the compiled loop. Only where it fails is the loop run again, for
the states at all noise levels, so it costs nothing inside the loop.
"""

from collections.abc import Callable

import jax
import numpy as np

Array = jax.Array


class NonFiniteStateError(FloatingPointError):
  """A state of a sampler became NaN or infinite.

  Attributes:
    step: The step that made it, counted from 1; 0 if the given x was not
      finite.
  """

  def __init__(self, message: str, step: int) -> None:
    super().__init__(message)
    self.step = step


def is_finite(values: Array | np.ndarray) -> bool:
  """Whether all values are finite; True for traced values, unknown as yet."""
  if isinstance(values, jax.core.Tracer):
    return True
  return bool(np.isfinite(np.asarray(values)).all())


def check_states(
  found: Array | np.ndarray,
  sigmas: Array | np.ndarray,
  states_fn: Callable[[], Array | np.ndarray],
) -> None:
  """Raises the error that names the step, unless samples are finite.

  Args:
    found: Samples [B, ...], or the states of all steps. Traced values are not
      checked: the caller of the compiled function does that.
    sigmas: Path of noise levels, [T+1].
    states_fn: Computes the states of all steps, [T+1, B, ...]; called only
      after a failure.

  Raises:
    NonFiniteStateError: If a value is NaN or infinite.
  """
  if is_finite(found):
    return
  states = np.asarray(states_fn())
  is_bad = ~np.isfinite(states.reshape(*states.shape[:2], -1)).all(axis=-1)
  # The last step, if the failure does not repeat itself.
  first = int(is_bad.any(axis=1).argmax()) if is_bad.any() else len(states) - 1
  num_bad, num = int(is_bad[first].sum()), is_bad.shape[1]
  if not first:
    raise NonFiniteStateError(
      f'`x` must be finite, got NaN or infinite values in {num_bad} of'
      f' {num} samples.',
      0,
    )
  path = np.asarray(sigmas)
  raise NonFiniteStateError(
    f'Step {first} of {len(path) - 1}, from noise level {path[first - 1]:.4g}'
    f' to {path[first]:.4g}, made {num_bad} of {num} samples NaN or infinite;'
    ' check the denoiser, or try a smaller step size or guidance weight.',
    first,
  )
