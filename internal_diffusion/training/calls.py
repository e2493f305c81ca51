"""Compiled calls of many steps, one after the other, until a run is spent."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.training import parallel
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.state import TrainState


class Stopwatch:
  """Laps that add up by name.

  Attributes:
    seconds: Times so far: 'setup', 'compile', 'run' (the calls), 'logging' (all
      else that the host does between calls) and 'saving'.
  """

  def __init__(self) -> None:
    names = ('setup', 'compile', 'run', 'logging', 'saving')
    self.seconds = dict.fromkeys(names, 0.0)
    self._last = time.monotonic()

  def lap(self, name: str) -> None:
    """Adds the time since the last lap to a name."""
    now = time.monotonic()
    self.seconds[name] += now - self._last
    self._last = now


@dataclasses.dataclass(frozen=True)
class Task:
  """What calls need to know of a run.

  Attributes:
    data: What training draws from, a pytree on the device.
    train_step: The step, averaged over `parallel.DEVICE_AXIS`.
    initial_state: Makes the state before the first step.
  """

  data: Any
  train_step: step_lib.TrainStep
  initial_state: Callable[[], TrainState]


class Call(NamedTuple):
  """What a call leaves.

  Attributes:
    state: After its steps.
    metrics: Of every step, numpy arrays [S].
    length: Length of the whole run as it looks now, in steps.
  """

  state: TrainState
  metrics: step_lib.Metrics
  length: int


def chosen_devices(config: ml_collections.ConfigDict) -> Sequence[jax.Device]:
  """The devices to train on.

  Raises:
    ValueError: If there are not as many, they do not divide the batch, or a
      call has no steps.
  """
  devices = jax.local_devices()
  arrays.check_in_range('num_devices', config.num_devices, 0, len(devices))
  devices = devices[: config.num_devices or len(devices)]
  parallel.batch_indices(config.batch_size, len(devices))
  arrays.check_positive_int('steps_per_call', config.steps_per_call)
  return devices


def train_calls(
  task: Task,
  state: TrainState,
  config: ml_collections.ConfigDict,
  *,
  devices: Sequence[jax.Device],
  budget: Budget,
  watch: Stopwatch,
  earlier_seconds: float = 0.0,
  data_fn: Callable[[], Any] | None = None,
) -> Iterator[Call]:
  """Yields after every call, until the budget is spent.

  Args:
    task: What is trained.
    state: Where it stands; its buffers are donated.
    config: As in configs/default.py.
    devices: To train on.
    budget: When the run ends.
    watch: Is told of 'compile' and 'run', and of 'logging' up to a call.
    earlier_seconds: What earlier parts of the run took of the budget.
    data_fn: What to draw from in the next call, of the shapes of the task's
      data, which it is if None.
  """
  shapes = jax.eval_shape(lambda: state)

  @functools.cache
  def compiled(num_substeps: int) -> parallel.TrainFn:
    return parallel.compile_train_fn(
      task.train_step,
      shapes,
      task.data,
      num_substeps=num_substeps,
      batch_size=config.batch_size,
      devices=devices,
    )

  while True:
    step = int(state.step)
    length = budget.total_steps(step, earlier_seconds + watch.seconds['run'])
    if step >= length:
      return
    # Only the end of a run bounded in steps asks for a shorter call.
    left = config.num_steps - step if config.num_steps else math.inf
    watch.lap('logging')
    train_fn = compiled(int(min(config.steps_per_call, left)))
    watch.lap('compile')
    data = task.data if data_fn is None else data_fn()
    state, metrics = train_fn(state, data, length)
    metrics = jax.tree.map(np.asarray, metrics)  # Waits for the call.
    watch.lap('run')
    yield Call(state, metrics, length)


def first_bad_step(call: Call) -> int | None:
  """The first step of a call whose loss or gradient is not finite, or None."""
  finite = np.isfinite(call.metrics.loss) & np.isfinite(call.metrics.grad_norm)
  if finite.all():
    return None
  return int(call.state.step) - len(finite) + int(np.argmin(finite)) + 1
