"""The few types that every part of the library shares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Params = Any  # A pytree of arrays.


class Condition(NamedTuple):
  """What a denoiser is told besides the noisy sample.

  Every field is optional; None means that the denoiser does not use it.

  Attributes:
    level: Pyramid level of each sample, [B] int32; 0 is the finest.
    vector: Anything else that is given (a source patch, a delta), [B, K]
      float32.
  """

  level: Array | None = None
  vector: Array | None = None


# `denoise_fn(x, sigma, cond) -> denoised`: x = x0 + sigma * eps is [B, ...],
# sigma is a scalar or [B], denoised estimates E[x0 | x, cond], [B, ...]. This
# is the one interface between denoisers and everything that uses them.
DenoiseFn = Callable[[Array, Array, Condition | None], Array]

# The same with the condition bound, as samplers see it.
BoundDenoiseFn = Callable[[Array, Array], Array]

# The same with its parameters still free, as training and compiled samplers
# see it: `fn(params, x, sigma, cond)`.
ParametricDenoiseFn = Callable[[Params, Array, Array, Condition | None], Array]

# `project_fn(key, x0_hat, sigma) -> x0_hat`: constrains the clean estimate.
ProjectFn = Callable[[Array, Array, Array], Array]
