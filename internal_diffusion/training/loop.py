"""The loop on the host: calls, logs, checkpoints and reasons to stop."""

import dataclasses
import math
import os

import ml_collections
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays, figures
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import (
  calls,
  examples,
  setup,
  workdir,
  writers,
)
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.checkpoint import CheckpointStore
from internal_diffusion.training.interrupt import stop_requested
from internal_diffusion.training.state import TrainState, learned_params

CURVE_NAME = 'loss.png'


class NonFiniteLossError(RuntimeError):
  """The loss or its gradient became NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
  """How a run ended.

  Attributes:
    params: The averaged parameters and the basis.
    step: Steps taken, those of earlier parts of the run included.
    loss: Mean loss of the last call, NaN if there was none.
    interrupted: Whether a signal stopped it before its end.
    seconds: Times of this part of the run, as `calls.Stopwatch` names them.
    patches_per_second: Patches trained on over 'run'.
  """

  params: LearnedParams
  step: int
  loss: float
  interrupted: bool
  seconds: dict[str, float]
  patches_per_second: float


def train(
  image: np.ndarray,
  config: ml_collections.ConfigDict,
  run_dir: str | os.PathLike,
  *,
  progress: bool = True,
) -> TrainResult:
  """Trains on one image, going on from whatever the run's folder holds.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/default.py.
    run_dir: Folder of the run: configuration, checkpoints, metrics.
    progress: Whether to show a progress bar.

  Returns:
    The trained parameters and how the run went.

  Raises:
    ValueError: If the image, a field or the folder is not usable.
    OSError: If the folder cannot be written.
    NonFiniteLossError: If the loss is no longer a number.
  """
  watch = calls.Stopwatch()
  budget = Budget(config.num_steps, 60.0 * config.max_minutes)
  devices = calls.chosen_devices(config)
  for name in ('every_steps', 'keep'):
    arrays.check_positive_int(f'checkpoint.{name}', config.checkpoint[name])
  run = setup.make_run(examples.from_image(image, config), config)
  # All is checked by now; from here on there are files.
  with (
    workdir.claimed_workdir(run_dir, config, image) as directory,
    CheckpointStore(
      directory / workdir.CHECKPOINT_DIR, keep=config.checkpoint.keep
    ) as store,
    stop_requested() as should_stop,
  ):
    state, first_step, earlier = _initial_or_restored(run, store)
    watch.lap('setup')
    with (
      writers.MetricWriter(directory, step=first_step) as writer,
      _progress_bar(first_step, disable=not progress) as bar,
    ):
      loss = writer.last.get('loss', math.nan)
      made = calls.train_calls(
        run,
        state,
        config,
        devices=devices,
        budget=budget,
        watch=watch,
        earlier_seconds=earlier,
      )
      for call in made:
        state, metrics = call.state, call.metrics
        step = int(state.step)
        _check_finite(call, store)
        loss = float(np.mean(metrics.loss))
        seconds = watch.seconds['run']
        rate = (step - first_step) * config.batch_size / seconds
        writer.write(
          step,
          loss=loss,
          grad_norm=float(np.mean(metrics.grad_norm)),
          learning_rate=float(metrics.learning_rate[-1]),
          patches_per_second=rate,
        )
        _show(bar, step, call.length, loss=loss, rate=rate)
        watch.lap('logging')
        every = config.checkpoint.every_steps
        if step // every > (step - len(metrics.loss)) // every:
          store.save(step, state, seconds=earlier + seconds)
          watch.lap('saving')
        if should_stop():
          break
    store.save(int(state.step), state, seconds=earlier + watch.seconds['run'])
    watch.lap('saving')
    interrupted = should_stop()
  lines = writers.read_metrics(directory)
  if lines:
    figures.write_or_warn(directory / CURVE_NAME, figures.loss_curve, lines)
  trained = (int(state.step) - first_step) * config.batch_size
  return TrainResult(
    params=learned_params(state),
    step=int(state.step),
    loss=loss,
    interrupted=interrupted,
    seconds=watch.seconds,
    patches_per_second=trained / max(watch.seconds['run'], 1e-9),
  )


def _initial_or_restored(
  run: setup.Run, store: CheckpointStore
) -> tuple[TrainState, int, float]:
  """State, step, and the seconds that the run has taken so far."""
  restored = store.restore(run.state_shapes)
  if restored is None:
    return run.initial_state(), 0, 0.0
  store.delete_after(restored.step)
  return restored.state, restored.step, restored.seconds


def _check_finite(call: calls.Call, store: CheckpointStore) -> None:
  bad_step = calls.first_bad_step(call)
  if bad_step is None:
    return
  last = f'step {store.steps[-1]}' if store.steps else 'none yet'
  raise NonFiniteLossError(
    f'The loss or its gradient is not finite at step {bad_step}; the run stops.'
    f' Last good checkpoint: {last}. A lower `optimizer.learning_rate` or'
    ' `optimizer.clip_norm` may help; the same workdir takes them.'
  )


def _progress_bar(first_step: int, *, disable: bool) -> tqdm:
  return tqdm(desc='training', unit='step', initial=first_step, disable=disable)


def _show(
  bar: tqdm, step: int, length: int, *, loss: float, rate: float
) -> None:
  bar.total = max(length, step)
  bar.set_postfix_str(f'loss {loss:.4f}, {rate:,.0f} patches/s', refresh=False)
  bar.update(step - bar.n)
