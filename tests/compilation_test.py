"""Compilations are counted and timed."""

import jax
import jax.numpy as jnp

from internal_diffusion.compilation import measure_compilation


def test_counts_what_is_compiled_and_nothing_else():
  function = jax.jit(lambda x: jnp.sin(x) * 3 + 0.123)
  x = jnp.arange(7.0)
  with measure_compilation() as first:
    function(x)
  with measure_compilation() as second:
    function(x)
  assert first.count == 1
  assert first.seconds > 0
  assert (second.count, second.seconds) == (0, 0)


def test_a_new_shape_compiles_anew():
  function = jax.jit(lambda x: jnp.cos(x) * 3 + 0.321)
  small, large = jnp.arange(7.0), jnp.arange(8.0)
  function(small)
  with measure_compilation() as meter:
    function(large)
  assert meter.count == 1


def test_meters_may_be_nested_and_stop_at_their_end():
  function = jax.jit(lambda x: jnp.tan(x) * 3 + 0.213)
  x = jnp.arange(7.0)
  with measure_compilation() as outer:
    with measure_compilation() as inner:
      function(x)
    jax.jit(lambda x: jnp.tan(x) * 4 + 0.213)(x)
  assert (inner.count, outer.count) == (1, 2)
  assert inner.seconds <= outer.seconds


def test_time_is_not_counted_twice():
  # A function that calls compiled functions holds their stages.
  inner = jax.jit(lambda x: jnp.exp(x) + 0.1)
  outer = jax.jit(lambda x: inner(x) * inner(2 * x))
  event = '/jax/core/compile/backend_compile_duration'
  trace = '/jax/core/compile/jaxpr_trace_duration'
  with measure_compilation() as meter:
    outer(jnp.arange(3.0))
    before = meter.seconds
    # Received at the end of each: the longer one holds the shorter.
    meter(trace, 0.001)
    meter(event, 10.0)
  assert 10 <= meter.seconds <= 10.001 + before
