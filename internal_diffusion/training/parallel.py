"""Many steps in one call, on many devices. The only file with pmap.

The state has no device axis: it goes in and out whole (`None` axes), is
replicated by pmap, and stays equal on all devices because gradients and metrics
are summed over them. Each device computes its part of the batch.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.training import processes
from internal_diffusion.training.state import TrainState
from internal_diffusion.training.step import Metrics, Step

Array = jax.Array
_AXIS = 'devices'


def num_devices(wanted: int) -> int:
  """Number of devices to train on; 0 is all there are.

  Raises:
    ValueError: If there are fewer than `wanted`, or it is a part of those of
      several processes.
  """
  available = jax.device_count()
  if processes.are_several() and wanted not in (0, available):
    raise ValueError(
      f'`num_devices` must be 0 or {available} with several processes, got'
      f' {wanted}.'
    )
  arrays.check_in_range('num_devices', wanted, 0, available)
  return wanted or available


def _devices() -> list[jax.Device]:
  """The devices of all processes, in the order of pmap."""
  return sorted(jax.devices(), key=lambda device: device.process_index)


def divide_batch(
  batch_size: int, num_devices: int
) -> tuple[np.ndarray, np.ndarray]:
  """Places [N, ceil(B/N)] of each device's examples, and their losses' weights.

  The weights sum to 1. N need not divide B: some devices then compute an
  example of weight 0.
  """
  per_device = -(-batch_size // num_devices)
  index = np.arange(num_devices * per_device, dtype=np.int32)
  weight = (index < batch_size).astype(np.float32) / batch_size
  shape = (num_devices, per_device)
  return index.reshape(shape) % batch_size, weight.reshape(shape)


@functools.partial(
  jax.pmap,
  axis_name=_AXIS,
  in_axes=(None, 0, 0, None, None),
  out_axes=(None, None),
  donate_argnums=(0,),
  static_broadcasted_argnums=(5, 6),
)
def _run_steps(
  state: TrainState,
  index: Array,
  weight: Array,
  data: Any,
  num_steps: Array,
  step: Step,
  num_substeps: int,
) -> tuple[TrainState, Metrics]:
  def body(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
    return step(state, index, weight, data, num_steps, axis_name=_AXIS)

  return jax.lax.scan(body, state, length=num_substeps)


def run_steps(
  state: TrainState,
  data: Any,
  step: Step,
  *,
  num_steps: float,
  batch_size: int,
  num_devices: int,
  num_substeps: int,
) -> tuple[TrainState, Metrics]:
  """Takes several steps; equal steps and shapes compile once in a process.

  Args:
    state: The state before the steps; its buffers are donated.
    data: Arrays that the loss draws from.
    step: The step.
    num_steps: Length of the whole run, as it is expected.
    batch_size: Number of examples in a step, over all devices.
    num_devices: Number of devices.
    num_substeps: S, the number of steps.

  Returns:
    The state after the steps, and the metrics of each step, [S].
  """
  index, weight = divide_batch(batch_size, num_devices)
  # float32, so that an expected length needs no other type.
  length = jnp.asarray(num_steps, jnp.float32)
  if processes.are_several():
    own = [device.process_index == jax.process_index() for device in _devices()]
    index, weight = index[own], weight[own]
    # Each process puts its copy on its own devices.
    state, data, length = jax.tree.map(np.asarray, (state, data, length))
  return _run_steps(state, index, weight, data, length, step, num_substeps)
