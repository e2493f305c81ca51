"""The one driver of every training, in memory or in a folder.

Compiled calls of many steps follow each other until the run's budget is spent.
In a folder, a run saves checkpoints and logs, stops cleanly on a signal, and
continues where an earlier run of the same options stopped.
"""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import parallel
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.run_folder import RunFolder, open_run
from internal_diffusion.training.state import (
  Model,
  create_train_state,
  with_params,
)
from internal_diffusion.training.step import Loss, Metrics, make_optimizer
from internal_diffusion.types import Params

_T = TypeVar('_T')
_BAR = '{desc}: {percentage:3.0f}%|{bar}|'


class NonFiniteLossError(FloatingPointError):
  """The loss or its gradient became NaN or infinite."""


class Rounds(NamedTuple, Generic[_T]):
  """Data that a run makes anew from its own averaged model.

  Attributes:
    num: Number of rounds of equal length; the first uses the given data.
    make_data: `(model) -> data` of a later round, of the same shapes.
  """

  num: int
  make_data: Callable[[_T], Any]


class Fitted(NamedTuple, Generic[_T]):
  """The result of a run.

  Attributes:
    model: The model with its averaged parameters.
    step: Number of steps, those of earlier parts of the run included.
    loss: Mean loss of the last call; NaN where this part took no step.
    interrupted: Whether a signal stopped the run before its end.
    seconds: Times of this part of the run: 'setup', 'compile', 'run' (the
      steps) and 'other' (logs, checkpoints and new data).
    examples_per_second: Number of examples over the time of the steps.
  """

  model: _T
  step: int
  loss: float
  interrupted: bool
  seconds: dict[str, float]
  examples_per_second: float


@with_own_settings
def fit(
  model: Model,
  data: Any,
  loss: Loss,
  options: TrainOptions,
  *,
  run_dir: str | os.PathLike | None = None,
  settings: Mapping[str, Any] | None = None,
  rounds: Rounds[Model] | None = None,
  watch: Callable[[int, Model], None] | None = None,
  progress: bool = False,
) -> Fitted[Model]:
  """Trains `model.params` and returns the model with averaged parameters.

  Args:
    model: The initial model.
    data: Arrays that the loss draws from, a pytree.
    loss: The loss; equal losses and shapes compile once in a process.
    options: Length, batch and optimiser.
    run_dir: Folder of the run, or None for a run in memory.
    settings: Everything that the run depends on, for the folder: a run of other
      settings is refused. None is `options`.
    rounds: Data made anew from the model; None keeps the given data.
    watch: Called with the step and the averaged model after each call of
      `options.steps_per_call` steps; its time does not count.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If there are not as many devices as `options.num_devices`, or
      the folder belongs to another run.
    OSError: If the folder cannot be written.
    NonFiniteLossError: If the loss is no longer finite.
  """
  start = time.monotonic()
  num_devices = parallel.num_devices(options.num_devices)
  budget = Budget(options.num_steps, 60.0 * options.max_minutes)
  with contextlib.ExitStack() as stack:
    meter = stack.enter_context(measure_compilation())
    folder = None
    if run_dir is not None:
      folder = stack.enter_context(open_run(run_dir, options, settings))
    state = create_train_state(
      # Another stream than the initial parameters, which the seed draws too.
      jax.random.fold_in(jax.random.key(options.seed), 1),
      model,
      make_optimizer(options.optimizer),
      makes_data=rounds is not None,
    )
    earlier = 0.0
    if folder is not None:
      state, earlier = folder.restore(state)
    first_step, seconds = int(state.step), earlier
    step, mean_loss, interrupted = first_step, math.nan, False
    current_round = _round_index(rounds, budget, step, seconds)
    is_over = step >= budget.total_steps(step, seconds)
    if rounds is not None and current_round and not is_over:  # Resumed.
      data = rounds.make_data(with_params(state.model, state.data_params))
    setup = time.monotonic() - start - meter.seconds
    bar = stack.enter_context(_progress_bar(disable=not progress))
    while step < (length := budget.total_steps(step, seconds)):
      _show(bar, budget, step, seconds, mean_loss)
      call_start, compiled = time.monotonic(), meter.seconds
      state, metrics = parallel.run_steps(
        state,
        data,
        num_steps=length,
        loss=loss,
        options=options.optimizer,
        ema_decay=options.ema_decay,
        batch_size=options.batch_size,
        num_devices=num_devices,
        num_substeps=_num_substeps(options, step),
      )
      metrics = jax.tree.map(np.asarray, metrics)  # Waits for the call.
      seconds += time.monotonic() - call_start - (meter.seconds - compiled)
      step = int(state.step)
      mean_loss = float(np.mean(metrics.loss))
      _check_finite(metrics, step, folder)
      if watch is not None:
        watch(step, state.averaged_model)
      latest_round = _round_index(rounds, budget, step, seconds)
      if rounds is not None and latest_round != current_round:
        current_round = latest_round
        average = _copied(state.average)
        state = dataclasses.replace(state, data_params=average)
        data = rounds.make_data(with_params(state.model, average))
      if folder is not None:
        folder.log(
          step,
          loss=mean_loss,
          grad_norm=float(np.mean(metrics.grad_norm)),
          learning_rate=float(metrics.learning_rate[-1]),
          examples_per_second=(step - first_step)
          * options.batch_size
          / (seconds - earlier),
        )
        folder.save_if_due(step, state, seconds=seconds)
        if interrupted := folder.should_stop():
          break
    _show(bar, budget, step, seconds, mean_loss)
    if folder is not None:
      folder.save(step, state, seconds=seconds)
    run_seconds = seconds - earlier
    return Fitted(
      model=state.averaged_model,
      step=step,
      loss=mean_loss,
      interrupted=interrupted,
      seconds={
        'setup': setup,
        'compile': meter.seconds,
        'run': run_seconds,
        'other': time.monotonic() - start - setup - meter.seconds - run_seconds,
      },
      examples_per_second=(step - first_step)
      * options.batch_size
      / max(run_seconds, 1e-9),
    )


def _round_index(
  rounds: Rounds | None, budget: Budget, step: int, seconds: float
) -> int:
  """The round that a run is in, from 0; the last one when it is over."""
  if rounds is None:
    return 0
  return min(int(budget.fraction(step, seconds) * rounds.num), rounds.num - 1)


def _num_substeps(options: TrainOptions, step: int) -> int:
  """Steps of the next call; only the end of a run asks for fewer."""
  left = options.num_steps - step if options.num_steps else math.inf
  return int(min(options.steps_per_call, left))


def _copied(params: Params) -> Params:
  """Parameters in buffers that no step will donate."""
  return jax.tree.map(jnp.copy, params)


def _check_finite(
  metrics: Metrics, step: int, folder: RunFolder | None
) -> None:
  finite = np.isfinite(metrics.loss) & np.isfinite(metrics.grad_norm)
  if finite.all():
    return
  bad_step = step - len(finite) + int(np.argmin(finite)) + 1
  message = (
    f'The loss or its gradient is not finite at step {bad_step}; the run stops.'
    ' A lower `optimizer.learning_rate` or `optimizer.clip_norm` may help'
  )
  if folder is not None:
    last = f'step {folder.steps[-1]}' if folder.steps else 'none yet'
    message += f'; the same folder takes them. Last good checkpoint: {last}'
  raise NonFiniteLossError(f'{message}.')


def _progress_bar(*, disable: bool) -> tqdm:
  return tqdm(desc='training', total=1.0, bar_format=_BAR, disable=disable)


def _show(
  bar: tqdm, budget: Budget, step: int, seconds: float, loss: float
) -> None:
  """Shows the fraction of the run that is over, and the time left."""
  parts = [f'step {step}']
  left = budget.seconds_left(step, seconds)
  if left is not None:
    parts.insert(0, f'{tqdm.format_interval(left)} left')
  if math.isfinite(loss):
    parts.append(f'loss {loss:.4f}')
  bar.bar_format = f'{_BAR} {", ".join(parts)}'
  bar.n = budget.fraction(step, seconds)
  bar.refresh()
