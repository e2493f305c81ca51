"""The few types that every part of the library shares."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.struct
import jax

Array = jax.Array
Params = Any  # A pytree of arrays.

# A field of a model that is no array: it is compared by value, so two models of
# equal fields and shapes compile once.
static = functools.partial(flax.struct.field, pytree_node=False)


class PatchTriplet(NamedTuple):
  """Two patches of one pyramid and how they lie to each other.

  Attributes:
    source: Patches [N, D].
    target: Patches [N, D].
    delta: Displacement (dy, dx) and relative scale as a network sees them, [N,
      3]; in a clip (dt, dy, dx) and relative scale, [N, 4]. `data.triplets` has
      the conversions.
    level: Pyramid level of the source, [N] int32; 0 is the finest.
  """

  source: Array
  target: Array
  delta: Array
  level: Array


class Condition(NamedTuple):
  """The condition of a denoiser.

  Every field is optional; None means that the denoiser does not use it.

  Attributes:
    level: Pyramid level of each sample, [B] int32; 0 is the finest.
    vector: Conditioning vector (a source patch, a delta), [B, K] float32; its
      parts are concatenated.
    given: Mask of the parts that are given, [B, G] booleans for G parts, or
      [B, 1] for the whole vector. None means that all parts are given.
    sigma_aug: Noise level of the vector, [B]. None for a model that was trained
      with one fixed level.
    image: The finished image of the next coarser pyramid level, [B, h, w, C],
      for denoisers of images.
  """

  level: Array | None = None
  vector: Array | None = None
  given: Array | None = None
  sigma_aug: Array | None = None
  image: Array | None = None


class Denoiser(Protocol):
  """The interface of every denoiser, learned or closed form.

  A model is a frozen pytree with this method: parameters and constants are its
  leaves, all else is static and compared by value.
  """

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean E[x0 | x, cond].

    Args:
      x: Noisy samples x0 + sigma eps, [B, ...].
      sigma: Noise level, scalar or [B].
      cond: The condition, or None.

    Returns:
      Estimates of x0, [B, ...].
    """


# A denoiser as a plain function, which guidance returns.
DenoiseFn = Callable[[Array, Array, Condition | None], Array]

# The same with the condition bound, as samplers see it.
BoundDenoiseFn = Callable[[Array, Array], Array]
