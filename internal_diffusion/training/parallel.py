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
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.options import OptimizerOptions
from internal_diffusion.training.state import TrainState

Array = jax.Array
_AXIS = 'devices'


def num_devices(wanted: int) -> int:
  """Number of devices to train on; 0 is all there are.

  Raises:
    ValueError: If there are fewer than `wanted`.
  """
  available = jax.local_device_count()
  arrays.check_in_range('num_devices', wanted, 0, available)
  return wanted or available


def divide_batch(
  batch_size: int, num_devices: int
) -> tuple[np.ndarray, np.ndarray]:
  """Divides a batch among devices.

  Args:
    batch_size: B.
    num_devices: N, which need not divide B: some devices then compute an
      example of weight 0.

  Returns:
    Places in the batch, [N, ceil(B/N)] int32, and the weights of their losses,
    of the same shape and of sum 1.
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
  static_broadcasted_argnums=(5, 6, 7, 8),
)
def _run_steps(
  state: TrainState,
  index: Array,
  weight: Array,
  data: Any,
  num_steps: Array,
  loss: step_lib.Loss,
  options: OptimizerOptions,
  ema_decay: float,
  num_substeps: int,
) -> tuple[TrainState, step_lib.Metrics]:
  def body(state: TrainState, _: None) -> tuple[TrainState, step_lib.Metrics]:
    return step_lib.train_step(
      state,
      index,
      weight,
      data,
      num_steps,
      loss=loss,
      options=options,
      ema_decay=ema_decay,
      axis_name=_AXIS,
    )

  return jax.lax.scan(body, state, length=num_substeps)


def run_steps(
  state: TrainState,
  data: Any,
  *,
  num_steps: float,
  loss: step_lib.Loss,
  options: OptimizerOptions,
  ema_decay: float,
  batch_size: int,
  num_devices: int,
  num_substeps: int,
) -> tuple[TrainState, step_lib.Metrics]:
  """Takes several steps; equal options and shapes compile once in a process.

  Args:
    state: The state before the steps; its buffers are donated.
    data: Arrays that the loss draws from.
    num_steps: Length of the whole run, as it is expected.
    loss: The loss.
    options: The optimiser and its learning rate.
    ema_decay: Decay of the moving average.
    batch_size: Number of examples in a step, over all devices.
    num_devices: Number of devices.
    num_substeps: S, the number of steps.

  Returns:
    The state after the steps, and the metrics of each step, [S].
  """
  index, weight = divide_batch(batch_size, num_devices)
  # float32, so that an expected length needs no other type.
  length = jnp.asarray(num_steps, jnp.float32)
  return _run_steps(
    state, index, weight, data, length, loss, options, ema_decay, num_substeps
  )
