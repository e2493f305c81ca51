"""The few types that every part of the library shares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Params = Any  # A pytree of arrays.


class PatchTriplet(NamedTuple):
  """Two patches of one pyramid and how they lie to each other.

  Attributes:
    source: Patches [N, D].
    target: Patches [N, D].
    delta: Displacement (dy, dx) and relative scale as a network sees them, [N,
      3]; `data.triplets` has the conversions.
    level: Pyramid level of the source, [N] int32; 0 is the finest.
  """

  source: Array
  target: Array
  delta: Array
  level: Array


class Condition(NamedTuple):
  """What a denoiser is told besides the noisy sample.

  Every field is optional; None means that the denoiser does not use it.

  Attributes:
    level: Pyramid level of each sample, [B] int32; 0 is the finest.
    vector: Anything else that is given (a source patch, a delta), [B, K]
      float32. It is one part or several, one behind the other.
    given: Which parts of the vector are given, [B, G] booleans for G parts, or
      [B, 1] for all of them alike; what is not given is not looked at. None is
      all.
    sigma_aug: Noise level that the vector carries, [B]. None where a model was
      trained with one level, which it need not be told.
  """

  level: Array | None = None
  vector: Array | None = None
  given: Array | None = None
  sigma_aug: Array | None = None


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
