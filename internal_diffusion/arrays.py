"""Broadcasting, random-number and checking helpers that name no idea of ours.

A `key` is a typed JAX key. Where a function takes a batch of keys [B] instead
of one, every sample of the batch has a random stream of its own, so a result
does not depend on how a batch was cut into chunks or over devices.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Array = jax.Array


def match_rank(values: Array, x: Array) -> Array:
  """Appends axes to `values` (scalar or [B]) so that it broadcasts with x."""
  values = jnp.asarray(values)
  if values.ndim == 0:
    return values
  return values.reshape(values.shape + (1,) * (x.ndim - values.ndim))


def _per_key(fn: Callable[[Array], Array], key: Array) -> Array:
  return jax.vmap(fn)(key) if key.ndim else fn(key)


def normal(key: Array, shape: tuple[int, ...]) -> Array:
  """Standard normal of `shape` [B, ...]; a key [B] gives a stream a sample."""
  if not key.ndim:
    return jax.random.normal(key, shape)
  return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(key)


def uniform(key: Array, shape: tuple[int, ...]) -> Array:
  """Uniform on [0, 1), [B, ...]; a key [B] gives a stream a sample."""
  if not key.ndim:
    return jax.random.uniform(key, shape)
  return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(key)


def fold_in(key: Array, number: int | Array) -> Array:
  """`jax.random.fold_in` for one key or for each of a batch of keys."""
  return _per_key(lambda k: jax.random.fold_in(k, number), key)


def index_from_uniform(uniform: Array, num: int | Array) -> Array:
  """Random whole numbers below `num` from uniform ones on [0, 1), int32."""
  # The minimum guards the product against rounding up to the bound.
  return jnp.minimum((uniform * num).astype(jnp.int32), num - 1)


def categorical_from_uniform(uniform: Array, probabilities: Array) -> Array:
  """Random indices [N] int32 of given probabilities from uniform numbers."""
  # The inverse of the cumulative distribution. Its last boundary, 1, is left
  # out, so that rounding in the sum can never point past the last index.
  boundaries = jnp.cumsum(probabilities)[:-1]
  index = jnp.searchsorted(boundaries, uniform, side='right')
  return index.astype(jnp.int32)


def check_in_range(
  name: str,
  value: float,
  low: float,
  high: float,
  *,
  open_low: bool = False,
  open_high: bool = False,
) -> None:
  """Raises ValueError unless `value` is a number from `low` to `high`."""
  above = value > low if open_low else value >= low
  below = value < high if open_high else value <= high
  if not (above and below):
    brackets = '(' if open_low else '[', ')' if open_high else ']'
    raise ValueError(
      f'`{name}` must be in {brackets[0]}{low}, {high}{brackets[1]},'
      f' got {value}.'
    )


def check_positive_int(name: str, value: int) -> None:
  """Raises ValueError unless `value` is a whole number above 0."""
  if isinstance(value, bool) or not isinstance(value, int) or value < 1:
    raise ValueError(f'`{name}` must be a positive integer, got {value!r}.')


def check_odd(name: str, value: int) -> None:
  """Raises ValueError unless `value` is an odd positive integer."""
  check_positive_int(name, value)
  if value % 2 == 0:
    raise ValueError(f'`{name}` must be odd, got {value}.')
