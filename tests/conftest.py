"""Settings of the whole suite; they must precede the first use of JAX."""

# ruff: noqa: E402

import importlib.metadata
import os
import pathlib

collect_ignore = ['typed_program.py']  # `typing_test` checks it; never run.

# Four host devices, so that the parallel parts run as they would on four GPUs.
XLA_FLAGS = ['--xla_force_host_platform_device_count=4']
# Most of the suite's time is compilation of programs that then run for an
# instant, so little is optimised, but for commands in processes of their own.
# With JAX_DISABLE_MOST_OPTIMIZATIONS=0 everything is compiled as for a user.
IS_QUICK = 'JAX_DISABLE_MOST_OPTIMIZATIONS' not in os.environ
if IS_QUICK and importlib.metadata.version('jaxlib').startswith('0.10.'):
  # These halve the time of a small program. XLA refuses flags it does not know.
  XLA_FLAGS += [
    '--xla_cpu_use_fusion_emitters=false',
    '--xla_cpu_parallel_codegen_split_count=1',
  ]
os.environ['XLA_FLAGS'] = ' '.join(
  [os.environ.get('XLA_FLAGS', ''), *XLA_FLAGS]
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Many tests compile the same small training step; once is enough, and commands
# in processes of their own read it too.
os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR',
  str(pathlib.Path(__file__).parents[1] / '.pytest_cache' / 'jax'),
)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1')

import jax
import pytest

# A sum of arrays of different rank is more often a mistake than a wish.
jax.config.update('jax_numpy_rank_promotion', 'raise')
# As uses of the library have it; a CPU knows no other.
jax.config.update('jax_default_matmul_precision', 'highest')
if IS_QUICK:
  jax.config.update('jax_disable_most_optimizations', True)


def pytest_collection_modifyitems(items):
  """The notebooks first: one takes minutes, alone if it comes last."""
  items.sort(key=lambda item: 'colabs_test' not in item.nodeid)


@pytest.fixture(scope='module', autouse=True)
def bounded_memory():
  """Forgets compiled functions after each file; all together take gigabytes."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='session', autouse=True)
def few_residuals():
  """Fits the mixtures of idiff-upscale to few residuals, to save minutes."""
  training = importlib.import_module(
    'internal_diffusion.applications.super_resolution.training'
  )
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training, '_NUM_RESIDUALS', 2000)
    yield
