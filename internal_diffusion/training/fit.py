"""Training in memory, without a folder: for experiments and short runs."""

from collections.abc import Callable
from typing import Any

import ml_collections
from tqdm import tqdm

from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import calls, setup
from internal_diffusion.training.budget import Budget
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.training.state import learned_params

# `refresh_fn(share, params) -> data | None`, between compiled calls.
RefreshFn = Callable[[float, LearnedParams], Any]
# `watch_fn(step, model)`, called between compiled calls.
WatchFn = Callable[[int, LearnedModel], None]


def fit(
  examples: Examples,
  config: ml_collections.ConfigDict,
  *,
  watch_fn: WatchFn | None = None,
  progress: bool = False,
) -> LearnedModel:
  """Trains on examples and returns the model.

  Args:
    examples: What to draw from.
    config: As in configs/default.py.
    watch_fn: Called with the step and the model after each
      `config.steps_per_call` steps; its time does not count.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If a field is not usable.
    FloatingPointError: If the loss is no longer a number.
  """
  run = setup.make_run(examples, config)

  def model(params: LearnedParams) -> LearnedModel:
    return LearnedModel(config, examples.layout, run.denoise_fn, params)

  def watch_params(step: int, params: LearnedParams) -> None:
    if watch_fn is not None:
      watch_fn(step, model(params))

  params = fit_task(run, config, watch_fn=watch_params, progress=progress)
  return model(params)


def fit_task(
  task: calls.Task,
  config: ml_collections.ConfigDict,
  *,
  watch_fn: Callable[[int, LearnedParams], None] | None = None,
  refresh_fn: RefreshFn | None = None,
  progress: bool = False,
) -> LearnedParams:
  """Trains a task and returns its averaged parameters.

  Args:
    task: What is trained.
    config: As in `fit`.
    watch_fn: As in `fit`.
    refresh_fn: Called with the share of the run that is over and the
      parameters after each `config.steps_per_call` steps; what it returns
      unless None, of the shapes of the task's data, is drawn from next. Its
      time does not count.
    progress: As in `fit`.
  """
  watch = calls.Stopwatch()
  budget = Budget(config.num_steps, 60.0 * config.max_minutes)
  devices = calls.chosen_devices(config)
  state = task.initial_state()
  data = task.data
  made = calls.train_calls(
    task,
    state,
    config,
    devices=devices,
    budget=budget,
    watch=watch,
    data_fn=lambda: data,
  )
  with tqdm(desc='training', unit='step', disable=not progress) as bar:
    for call in made:
      state = call.state
      bad_step = calls.first_bad_step(call)
      if bad_step is not None:
        raise FloatingPointError(
          f'The loss or its gradient is not finite at step {bad_step}.'
        )
      step = int(state.step)
      bar.total = max(call.length, step)
      bar.update(step - bar.n)
      if watch_fn is not None:
        watch_fn(step, learned_params(state))
      if refresh_fn is not None and step < call.length:
        found = refresh_fn(step / call.length, learned_params(state))
        data = data if found is None else found
  return learned_params(state)
