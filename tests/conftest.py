"""Settings of the whole suite; they must precede the first use of JAX."""

import os
import pathlib

# Four host devices, so that the parallel parts run as they would on four GPUs.
os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=4'
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax

# A sum of arrays of different rank is more often a mistake than a wish.
jax.config.update('jax_numpy_rank_promotion', 'raise')
# Many tests compile the same small training step; once is enough.
_CACHE = pathlib.Path(__file__).parents[1] / '.pytest_cache' / 'jax'
jax.config.update('jax_compilation_cache_dir', str(_CACHE))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
