"""The one driver of every training, in memory or in a folder.

Compiled calls of many steps follow each other until the run's budget is spent.
In a folder, a run saves checkpoints and logs, stops cleanly on a signal, and
continues where an earlier run of the same options stopped.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from tqdm import tqdm

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import parallel
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.run import (
  NonFiniteLossError,
  Rounds,
  Run,
  copied,
)
from internal_diffusion.training.run_folder import open_run
from internal_diffusion.training.state import Model
from internal_diffusion.training.step import Loss

__all__ = ['Fitted', 'NonFiniteLossError', 'Rounds', 'fit']

_T = TypeVar('_T')

_BAR = '{desc}: {percentage:3.0f}%|{bar}|'


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
  with contextlib.ExitStack() as stack:
    meter = stack.enter_context(measure_compilation())
    folder = None
    if run_dir is not None:
      folder = stack.enter_context(
        open_run(run_dir, options, settings=settings)
      )
    run = Run(model, data, loss, options, num_devices, folder, rounds)
    setup = time.monotonic() - start - meter.seconds
    bar = stack.enter_context(_progress_bar(disable=not progress))
    while not run.is_over and not run.interrupted:
      _show(bar, run)
      run.take_steps(meter)
      if watch is not None:
        # The next call donates the state's buffers.
        watch(run.step, copied(run.state.averaged_model))
      run.renew_data()
      run.record()
    _show(bar, run)
    run.save()
    other = time.monotonic() - start - setup - meter.seconds - run.own_seconds
    seconds = {
      'setup': setup,
      'compile': meter.seconds,
      'run': run.own_seconds,
      'other': other,
    }
    return Fitted(
      model=copied(run.state.averaged_model),
      step=run.step,
      loss=run.mean_loss,
      interrupted=run.interrupted,
      seconds=seconds,
      examples_per_second=run.examples_per_second,
    )


def _progress_bar(*, disable: bool) -> tqdm:
  return tqdm(desc='training', total=1.0, bar_format=_BAR, disable=disable)


def _show(bar: tqdm, run: Run) -> None:
  """Shows the fraction of the run that is over, and the time left."""
  parts = [f'step {run.step}']
  if run.seconds_left is not None:
    parts.insert(0, f'{tqdm.format_interval(run.seconds_left)} left')
  if math.isfinite(run.mean_loss):
    parts.append(f'loss {run.mean_loss:.4f}')
  bar.bar_format = f'{_BAR} {", ".join(parts)}'
  bar.n = run.fraction
  bar.refresh()
