"""The library's own JAX settings: float32 whatever a program has set.

`jax_enable_x64`, `jax_debug_nans`, `jax_numpy_rank_promotion`,
`jax_numpy_dtype_promotion` and `jax_default_matmul_precision` are global. A use
(generate, upscale, flow, fit, ...) runs under its own values, so its results do
not depend on them.
"""

import contextlib
from collections.abc import Iterator

import jax


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
    # By default a GPU rounds the factors of a product to 11 bits, a TPU to 8:
    # too few for distances and inverses. Networks choose for themselves.
    jax.default_matmul_precision('highest'),
  ):
    yield


# Decorates a function to run under the library's own settings: a context
# manager of contextlib is a decorator too, entered anew at each call.
with_own_settings = own_settings()
