"""How long JAX compiles, and how often: measured, not guessed."""

import contextlib
import time
from collections.abc import Iterator

import jax

# Tracing, lowering and the backend's compilation, in the order they happen.
_STAGES = (
  '/jax/core/compile/jaxpr_trace_duration',
  '/jax/core/compile/jaxpr_to_mlir_module_duration',
  '/jax/core/compile/backend_compile_duration',
)


class CompileMeter:
  """Compilations of this process while the meter is open.

  Attributes:
    seconds: Time spent on tracing, lowering and compiling. A function read from
      the persistent cache counts the time of reading it.
    count: Number of programs compiled, or read from the persistent cache.
  """

  def __init__(self) -> None:
    self.seconds = 0.0
    self.count = 0
    self._stages: list[tuple[float, float]] = []  # Start and duration of each.

  def __call__(self, event: str, duration_secs: float, **_: str | int) -> None:
    """Receives an event of `jax.monitoring`."""
    if event in _STAGES:
      # A function's stage holds those of the functions that it calls.
      start = time.monotonic() - duration_secs
      while self._stages and self._stages[-1][0] >= start:
        self.seconds -= self._stages.pop()[1]
      self._stages.append((start, duration_secs))
      self.seconds += duration_secs
    if event == _STAGES[-1]:
      self.count += 1


@contextlib.contextmanager
def measure_compilation() -> Iterator[CompileMeter]:
  """Measures the compilations inside a `with` block.

  Example:
    >>> with measure_compilation() as meter:
    ...   _ = jax.jit(lambda x: x + 1)(1.0)
    >>> meter.count > 0
    True
  """
  meter = CompileMeter()
  jax.monitoring.register_event_duration_secs_listener(meter)
  try:
    yield meter
  finally:
    jax.monitoring.unregister_event_duration_listener(meter)
