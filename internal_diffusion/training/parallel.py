"""The same step on many devices, many steps a call. The only file with pmap.

The state has no device axis: it goes in and out whole (`None` axes), is
replicated by pmap, and stays equal on all devices because gradients and metrics
are averaged over them. Each device gets its share of the batch's indices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion.training.state import TrainState
from internal_diffusion.training.step import Metrics, TrainStep

Array = jax.Array
DEVICE_AXIS = 'devices'

# `train_fn(state, data, num_steps) -> (state, metrics [S])`.
TrainFn = Callable[[TrainState, Any, float], tuple[TrainState, Metrics]]


def batch_indices(batch_size: int, num_devices: int) -> Array:
  """Places in the batch, [num_devices, batch_size / num_devices] int32.

  Raises:
    ValueError: If the devices do not divide the batch.
  """
  if batch_size % num_devices:
    raise ValueError(
      f'`batch_size` {batch_size} must be a multiple of the number of devices,'
      f' {num_devices}.'
    )
  return jnp.arange(batch_size, dtype=jnp.int32).reshape(num_devices, -1)


def compile_train_fn(
  train_step: TrainStep,
  state: TrainState,
  data: Any,
  *,
  num_substeps: int,
  batch_size: int,
  devices: Sequence[jax.Device],
) -> TrainFn:
  """Compiles `num_substeps` steps on all devices into one function.

  Args:
    train_step: A step that averages over `DEVICE_AXIS`.
    state: A state, for its shapes.
    data: What the steps draw from, for its shapes.
    num_substeps: S, steps in one call.
    batch_size: Examples in a step, over all devices.
    devices: The devices.

  Returns:
    `train_fn(state, data, num_steps) -> (state, metrics [S])`, where
    `num_steps` is the length of the whole run. The given state is donated.

  Raises:
    ValueError: If the devices do not divide the batch.
  """
  indices = batch_indices(batch_size, len(devices))

  def run_substeps(
    state: TrainState, index: Array, data: Any, num_steps: Array
  ) -> tuple[TrainState, Metrics]:
    def body(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
      return train_step(state, index, data, num_steps)

    return jax.lax.scan(body, state, length=num_substeps)

  pmapped = jax.pmap(
    run_substeps,
    axis_name=DEVICE_AXIS,
    in_axes=(None, 0, None, None),
    out_axes=(None, None),
    donate_argnums=(0,),
    devices=devices,
  )
  # float32, so that a length estimated on the way needs no other type.
  compiled = pmapped.lower(
    state, indices, data, jnp.zeros((), jnp.float32)
  ).compile()

  def train_fn(
    state: TrainState, data: Any, num_steps: float
  ) -> tuple[TrainState, Metrics]:
    length = jnp.asarray(num_steps, jnp.float32)
    return compiled(state, indices, data, length)

  return train_fn
