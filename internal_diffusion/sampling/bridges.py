"""Sampling of bridges: the ancestral sampler, from samples instead of noise.

`diffusion.bridges` says why. With one step it is the regression of x0 on x1.
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.sampling import finite
from internal_diffusion.sampling.samplers import sample_ddpm
from internal_diffusion.types import Condition, Denoiser

Array = jax.Array


def bridge_sigmas(num_steps: int, *, sigma_max: float) -> Array:
  """The path of a bridge, uniform in sigma, [num_steps + 1].

  Raises:
    ValueError: If `num_steps` is no positive number or `sigma_max` not above 0.

  Example:
    >>> bridge_sigmas(2, sigma_max=0.5).tolist()
    [0.5, 0.25, 0.0]
  """
  arrays.check_positive_int('num_steps', num_steps)
  arrays.check_in_range('sigma_max', sigma_max, 0, float('inf'), open_low=True)
  return jnp.linspace(sigma_max, 0.0, num_steps + 1)


def transport(
  key: Array,
  model: Denoiser,
  x: Array,
  level: int | None,
  *,
  sigmas: Array,
) -> Array:
  """Takes samples along a bridge.

  Args:
    key: One key.
    model: Denoiser of the bridge's states.
    x: Samples x1 at sigmas[0], [B, D].
    level: Direction of a bridge of two ways: the end that it leads to, 0 the
      first, 1 the second; None for a bridge of one way.
    sigmas: Path of noise levels, [T+1], from `bridge_sigmas`.

  Returns:
    Samples x0, [B, D].

  Raises:
    NonFiniteStateError: If a state is not finite; the step is named.
  """
  found = _transport_compiled(key, model, x, level, sigmas)
  if not finite.is_finite(found):
    _transport(key, model, x, level, sigmas)  # Names the step.
  return found


def _transport(
  key: Array, model: Denoiser, x: Array, level: int | None, sigmas: Array
) -> Array:
  cond = None if level is None else Condition(level=jnp.full(len(x), level))
  return sample_ddpm(key, model, x, sigmas, cond=cond)


_transport_compiled = jax.jit(_transport, static_argnames='level')
