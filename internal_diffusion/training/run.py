"""A training run in progress: its state, its data, its account of time."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.compilation import CompileMeter
from internal_diffusion.training import parallel
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.run_folder import RunFolder
from internal_diffusion.training.state import (
  Trainable,
  create_train_state,
  with_params,
)
from internal_diffusion.training.step import Loss, Metrics, make_optimizer

_T = TypeVar('_T')


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


class Run:
  """A run in progress: its state, and the account of its steps and time.

  Attributes:
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
    self._data, self._loss, self._options = data, loss, options
    self._num_devices = num_devices
    self._folder, self._rounds = folder, rounds
    self._budget = Budget(options.num_steps, 60.0 * options.max_minutes)
    self.state = create_train_state(
      # Another stream than the initial parameters, which the seed draws too.
      jax.random.fold_in(jax.random.key(options.seed), 1),
      model,
      make_optimizer(options.optimizer),
      makes_data=rounds is not None,
    )
    self.seconds = 0.0
    if folder is not None:
      self.state, self.seconds = folder.restore(self.state)
    self.step = int(self.state.step)
    self._first_step, self._first_seconds = self.step, self.seconds
    self.mean_loss, self.interrupted = math.nan, False
    self._round = self._current_round()
    if self._round and not self.is_over:  # A resumed run.
      self._make_data()

  @property
  def expected_length(self) -> int:
    """Expected number of steps of the whole run."""
    return self._budget.total_steps(self.step, self.seconds)

  @property
  def is_over(self) -> bool:
    """Whether the budget is spent."""
    return self.step >= self.expected_length

  @property
  def fraction(self) -> float:
    """Fraction of the run that is over, in [0, 1]."""
    return self._budget.fraction(self.step, self.seconds)

  @property
  def seconds_left(self) -> float | None:
    """Expected time left, or None where it is not known yet."""
    return self._budget.seconds_left(self.step, self.seconds)

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
    """Takes the steps of one call.

    Raises:
      NonFiniteLossError: If the loss or its gradient is not finite.
    """
    options = self._options
    start, compiled = time.monotonic(), meter.seconds
    # Only the end of a run asks for fewer steps.
    left = options.num_steps - self.step if options.num_steps else math.inf
    self.state, metrics = parallel.run_steps(
      self.state,
      self._data,
      num_steps=self.expected_length,
      loss=self._loss,
      options=options.optimizer,
      ema_decay=options.ema_decay,
      batch_size=options.batch_size,
      num_devices=self._num_devices,
      num_substeps=int(min(options.steps_per_call, left)),
    )
    self._metrics = jax.tree.map(np.asarray, metrics)  # Waits for the call.
    self.seconds += time.monotonic() - start - (meter.seconds - compiled)
    self.step = int(self.state.step)
    self.mean_loss = float(np.mean(self._metrics.loss))
    _check_finite(self._metrics, self.step, self._folder)

  def renew_data(self) -> None:
    """Makes new data where a round begins."""
    latest = self._current_round()
    if latest != self._round:
      self._round = latest
      average = copied(self.state.average)
      self.state = dataclasses.replace(self.state, data_params=average)
      self._make_data()

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
    self.interrupted = self._folder.should_stop()

  def save(self) -> None:
    """Saves a checkpoint of the last step."""
    if self._folder is not None:
      self._folder.save(self.step, self.state, seconds=self.seconds)

  def _current_round(self) -> int:
    """The round that the run is in, from 0; the last one when it is over."""
    if self._rounds is None:
      return 0
    num = self._rounds.num
    return min(int(self.fraction * num), num - 1)

  def _make_data(self) -> None:
    assert self._rounds is not None
    model = with_params(self.state.model, self.state.data_params)
    self._data = self._rounds.make_data(copied(model))


def copied(tree: _T) -> _T:
  """A pytree in buffers that no step will donate, on the first device."""
  # Several devices hold a state of their own each; arrays of different sets of
  # devices cannot be combined.
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
