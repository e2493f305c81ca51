"""Settings of the whole suite; they must precede the first use of JAX."""

import os
import pathlib

# Four host devices, so that the parallel parts run as they would on four GPUs.
os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=4'
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Many tests compile the same small training step; once is enough, and commands
# in processes of their own read it too.
os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR',
  str(pathlib.Path(__file__).parents[1] / '.pytest_cache' / 'jax'),
)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')

import jax
import pytest

# A sum of arrays of different rank is more often a mistake than a wish.
jax.config.update('jax_numpy_rank_promotion', 'raise')
# Most of the suite's time is compilation of what then runs for an instant, so
# little is optimized, but for commands in processes of their own. With this
# variable at 0 all is.
if 'JAX_DISABLE_MOST_OPTIMIZATIONS' not in os.environ:
  jax.config.update('jax_disable_most_optimizations', True)


def pytest_collection_modifyitems(items):
  """The notebooks first: one takes minutes, alone if it comes last."""
  items.sort(key=lambda item: 'colabs_test' not in item.nodeid)


@pytest.fixture(scope='module', autouse=True)
def bounded_memory():
  """Forgets compiled functions after each file; all together take gigabytes."""
  yield
  jax.clear_caches()
