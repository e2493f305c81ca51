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

from internal_diffusion.compilation import CompileMeter, measure_compilation
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import parallel, processes
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.interrupt import stop_requested
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.run_folder import RunFolder, open_run
from internal_diffusion.training.state import (
  Model,
  Trainable,
  create_train_state,
  with_params,
)
from internal_diffusion.training.step import Loss, Metrics, Step

_T = TypeVar('_T')

_BAR = 'training: {percentage:3.0f}%|{bar}|'


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
    LostProcessError: If another process of the run is lost.
    KeyboardInterrupt: If a signal stops a run in memory.
  """
  start = time.monotonic()
  num_devices = parallel.num_devices(options.num_devices)
  with contextlib.ExitStack() as stack:
    stack.enter_context(processes.loss_named())
    meter = stack.enter_context(measure_compilation())
    folder = None
    if run_dir is not None:
      folder = stack.enter_context(
        open_run(run_dir, options, settings=settings)
      )
    else:
      # An exception in the middle of a compilation may get lost.
      should_stop = stack.enter_context(stop_requested())
    run = _Run(model, data, loss, options, num_devices, folder, rounds)
    setup = time.monotonic() - start - meter.seconds
    bar = stack.enter_context(
      tqdm(
        total=1.0,
        bar_format=_BAR,
        disable=not (progress and processes.is_first()),
      )
    )
    while not run.is_over and not run.interrupted:
      _show(bar, run)
      run.take_steps(meter)
      if folder is None and processes.any_of(should_stop()):
        raise KeyboardInterrupt
      if watch is not None:
        # The next call donates the state's buffers.
        watch(run.step, _copied(run.state.averaged_model))
      run.renew_data()
      run.record()
    _show(bar, run)
    run.save()
    other = time.monotonic() - start - setup - meter.seconds - run.own_seconds
    return Fitted(
      model=_copied(run.state.averaged_model),
      step=run.step,
      loss=run.mean_loss,
      interrupted=run.interrupted,
      seconds={
        'setup': setup,
        'compile': meter.seconds,
        'run': run.own_seconds,
        'other': other,
      },
      examples_per_second=run.examples_per_second,
    )


class _Run:
  """A run in progress: its state, and the account of its steps and time.

  Attributes:
    budget: Bounds of the run.
    state: State after the last step.
    step: Number of steps taken, those of earlier parts of the run included.
    seconds: Time of these steps.
    mean_loss: Mean loss of the last call; NaN before the first.
    interrupted: Whether a signal asked the run to stop.
  """

  def __init__(
    self,
    model: Trainable,
    data: Any,
    loss: Loss,
    options: TrainOptions,
    num_devices: int,
    folder: RunFolder | None,
    rounds: Rounds | None,
  ):
    self._data, self._data_round = data, 0
    self._options, self._num_devices = options, num_devices
    self._step_fn = Step(loss, options.optimizer, options.ema_decay)
    self._folder, self._rounds = folder, rounds
    self.budget = Budget(options.num_steps, 60.0 * options.max_minutes)
    self.state = create_train_state(
      # Another stream than the initial parameters, which the seed draws too.
      jax.random.fold_in(jax.random.key(options.seed), 1),
      model,
      options.optimizer,
      makes_data=rounds is not None,
    )
    self.seconds = 0.0
    if folder is not None:
      self.state, self.seconds = folder.restore(self.state)
    self.state = processes.from_first(self.state)
    self.step = int(self.state.step)
    self._first_step, self._first_seconds = self.step, self.seconds
    self.mean_loss, self.interrupted = math.nan, False
    self.renew_data()  # A resumed run.

  @property
  def is_over(self) -> bool:
    """Whether the budget is spent."""
    return self.step >= self.budget.total_steps(self.step, self.seconds)

  @property
  def own_seconds(self) -> float:
    """Time of the steps of this part of the run."""
    return self.seconds - self._first_seconds

  @property
  def examples_per_second(self) -> float:
    """Number of examples over the time of the steps of this part."""
    num = (self.step - self._first_step) * self._options.batch_size
    return num / max(self.own_seconds, 1e-9)

  def take_steps(self, meter: CompileMeter) -> None:
    """Takes the steps of one call; raises NonFiniteLossError."""
    options = self._options
    start, compiled = time.monotonic(), meter.seconds
    # Only the end of a run asks for fewer steps.
    left = options.num_steps - self.step if options.num_steps else math.inf
    self.state, metrics = parallel.run_steps(
      self.state,
      self._data,
      self._step_fn,
      num_steps=self.budget.total_steps(self.step, self.seconds),
      batch_size=options.batch_size,
      num_devices=self._num_devices,
      num_substeps=int(min(options.steps_per_call, left)),
    )
    self._metrics = jax.tree.map(np.asarray, metrics)  # Waits for the call.
    seconds = time.monotonic() - start - (meter.seconds - compiled)
    # One clock, so that all processes take the same number of calls.
    self.seconds += float(processes.from_first(seconds))
    self.step = int(self.state.step)
    self.mean_loss = float(np.mean(self._metrics.loss))
    _check_finite(self._metrics, self.step, self._folder)

  def renew_data(self) -> None:
    """Makes new data where a round begins, or where a run resumes in one.

    A run that resumes with another length may be in a later round than its
    checkpoint, whose average then makes the data; no round comes twice.
    """
    if self._rounds is None or self.is_over:
      return
    fraction = self.budget.fraction(self.step, self.seconds)
    made, latest = int(self.state.data_round), int(fraction * self._rounds.num)
    if latest > made:
      self.state = dataclasses.replace(
        self.state,
        data_params=_copied(self.state.average),
        data_round=jnp.int32(latest),
      )
    if max(made, latest) > self._data_round:
      self._data_round = max(made, latest)
      model = with_params(self.state.model, self.state.data_params)
      self._data = self._rounds.make_data(_copied(model))

  def record(self) -> None:
    """Logs the last call, saves a checkpoint if one is due, asks for a stop."""
    if self._folder is None:
      return
    self._folder.log(
      self.step,
      loss=self.mean_loss,
      grad_norm=float(np.mean(self._metrics.grad_norm)),
      learning_rate=float(self._metrics.learning_rate[-1]),
      examples_per_second=self.examples_per_second,
    )
    self._folder.save_if_due(self.step, self.state, seconds=self.seconds)
    self.interrupted = processes.any_of(self._folder.should_stop())

  def save(self) -> None:
    """Saves a checkpoint of the last step."""
    if self._folder is not None:
      self._folder.save(self.step, self.state, seconds=self.seconds)


def _copied(tree: _T) -> _T:
  """A pytree in buffers that no step will donate, on the first device."""
  # Several devices hold a state of their own each; arrays of different sets of
  # devices cannot be combined. What lies on devices of other processes goes by
  # way of the host.
  if processes.are_several():
    tree = jax.tree.map(np.asarray, tree)
  return jax.tree.map(jnp.copy, jax.device_put(tree, jax.local_devices()[0]))


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


def _show(bar: tqdm, run: _Run) -> None:
  """Shows the fraction of the run that is over, and the time left."""
  parts = [f'step {run.step}']
  left = run.budget.seconds_left(run.step, run.seconds)
  if left is not None:
    parts.insert(0, f'{tqdm.format_interval(left)} left')
  if math.isfinite(run.mean_loss):
    parts.append(f'loss {run.mean_loss:.4f}')
  bar.bar_format = f'{_BAR} {", ".join(parts)}'
  bar.n = run.budget.fraction(run.step, run.seconds)
  bar.refresh()
