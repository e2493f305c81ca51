"""Broadcasting, random numbers and checks of arguments.

A `key` is a typed JAX key. Some functions also take a batch of keys [B]: then
each sample has its own random stream, and the result does not depend on how the
batch was divided into chunks or over devices.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Array = jax.Array


def match_rank(values: Array, x: Array) -> Array:
  """Appends axes to `values` (scalar or [B]) so that it broadcasts with x.

  Example:
    >>> match_rank(jnp.ones(4), jnp.zeros((4, 8, 8, 3))).shape
    (4, 1, 1, 1)
  """
  values = jnp.asarray(values)
  if values.ndim == 0:
    return values
  return values.reshape(values.shape + (1,) * (x.ndim - values.ndim))


def normal(key: Array, shape: tuple[int, ...]) -> Array:
  """Standard normal samples of `shape` [B, ...], for one key or keys [B]."""
  if not key.ndim:
    return jax.random.normal(key, shape)
  return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(key)


def uniform(key: Array, shape: tuple[int, ...]) -> Array:
  """Uniform samples on [0, 1) of `shape` [B, ...], for one key or keys [B]."""
  if not key.ndim:
    return jax.random.uniform(key, shape)
  return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(key)


def fold_in(key: Array, number: int | Array) -> Array:
  """`jax.random.fold_in` for one key or keys [B]."""
  if not key.ndim:
    return jax.random.fold_in(key, number)
  return jax.vmap(lambda k: jax.random.fold_in(k, number))(key)


def index_from_uniform(uniform: Array, num: int | Array) -> Array:
  """Integers below `num` from uniform samples on [0, 1), int32.

  Example:
    >>> index_from_uniform(jnp.array([0.0, 0.5, 0.99]), 4).tolist()
    [0, 2, 3]
  """
  # The product may round up to `num`.
  return jnp.minimum((uniform * num).astype(jnp.int32), num - 1)


def categorical_from_uniform(uniform: Array, probabilities: Array) -> Array:
  """Indices [N] int32 of given probabilities [M] from uniform samples [N]."""
  # The inverse of the cumulative distribution. Without its last boundary, 1, a
  # rounding error of the sum cannot exceed the last index.
  boundaries = jnp.cumsum(probabilities)[:-1]
  index = jnp.searchsorted(boundaries, uniform, side='right')
  return index.astype(jnp.int32)


def index_of_largest(values: Array) -> Array:
  """The argmax along the last axis, as two reductions, which CPUs vectorise."""
  index = jax.lax.broadcasted_iota(jnp.int32, values.shape, values.ndim - 1)
  is_largest = values == jnp.max(values, axis=-1, keepdims=True)
  return jnp.min(jnp.where(is_largest, index, values.shape[-1] - 1), axis=-1)


def check_in_range(
  name: str,
  value: float,
  low: float,
  high: float,
  *,
  open_low: bool = False,
  open_high: bool = False,
) -> None:
  """Raises ValueError unless `value` is in the interval `low` to `high`."""
  above = value > low if open_low else value >= low
  below = value < high if open_high else value <= high
  if not (above and below):
    brackets = '(' if open_low else '[', ')' if open_high else ']'
    raise ValueError(
      f'`{name}` must be in {brackets[0]}{low}, {high}{brackets[1]},'
      f' got {value}.'
    )


def check_positive_int(name: str, value: int) -> None:
  """Raises ValueError unless `value` is a positive integer."""
  if isinstance(value, bool) or not isinstance(value, int) or value < 1:
    raise ValueError(f'`{name}` must be a positive integer, got {value!r}.')


def check_odd(name: str, value: int) -> None:
  """Raises ValueError unless `value` is an odd positive integer."""
  check_positive_int(name, value)
  if value % 2 == 0:
    raise ValueError(f'`{name}` must be odd, got {value}.')


def check_finite(name: str, values: ArrayLike) -> np.ndarray:
  """Converts to float64; raises ValueError for empty or not finite values."""
  numbers = np.asarray(values, np.float64)
  if not numbers.size:
    raise ValueError(f'`{name}` must not be empty, got shape {numbers.shape}.')
  if not np.all(np.isfinite(numbers)):
    raise ValueError(f'`{name}` must be finite, got NaN or infinite values.')
  return numbers


def check_same_shape(**named: np.ndarray) -> None:
  """Raises ValueError unless two arrays have the same shape."""
  shapes = [values.shape for values in named.values()]
  if shapes[0] != shapes[1]:
    first, second = named
    raise ValueError(
      f'`{first}` and `{second}` must have one shape, got {shapes[0]}'
      f' and {shapes[1]}.'
    )
