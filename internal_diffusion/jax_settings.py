"""The library's own JAX settings: float32 whatever a program has set.

`jax_enable_x64`, `jax_debug_nans`, `jax_numpy_rank_promotion` and
`jax_numpy_dtype_promotion` are global. A use (generate, upscale, flow, fit,
...) runs under its own values, so its results do not depend on them.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import jax

_P = ParamSpec('_P')
_R = TypeVar('_R')


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
  """Sets the library's values inside a `with` block."""
  with (
    jax.enable_x64(False),
    # An empty set has an undefined mean; where one is meant, it is masked.
    jax.debug_nans(False),
    jax.debug_infs(False),
    jax.numpy_dtype_promotion('standard'),
    jax.numpy_rank_promotion('allow'),
  ):
    yield


def with_own_settings(function: Callable[_P, _R]) -> Callable[_P, _R]:
  """The same function, run under the library's own settings."""

  @functools.wraps(function)
  def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
    with own_settings():
      return function(*args, **kwargs)

  return wrapped
