"""One training step of one device, as a pure function.

Every example of a batch has a key of its own, made from the run's key, the step
and the example's place in the whole batch. What is drawn therefore does not
depend on how the batch is cut over devices.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from internal_diffusion import arrays
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Params

Array = jax.Array

# `batch_loss_fn(params, data, key, index) -> [B]`: draws the examples `index`
# [B] of the batch that belongs to `key` and returns their losses.
BatchLossFn = Callable[[LearnedParams, Any, Array, Array], Array]

# `train_step(state, index, data, num_steps) -> (state, metrics)`.
TrainStep = Callable[
  [TrainState, Array, Any, Array], tuple[TrainState, 'Metrics']
]


class Metrics(NamedTuple):
  """Scalars of one step, the mean over all devices."""

  loss: Array
  grad_norm: Array
  learning_rate: Array


def learning_rate(
  step: Array, num_steps: Array, *, peak: float, warmup_steps: int
) -> Array:
  """Linear warm-up, then a half cosine from `peak` to 0 at `num_steps`.

  A function of the run's length too, because a run limited by minutes learns
  its length only as it goes. optax's schedules take the length as a constant.
  """
  warmup = jnp.minimum((step + 1) / max(warmup_steps, 1), 1.0)
  decay_steps = jnp.maximum(num_steps - warmup_steps, 1)
  progress = jnp.clip((step - warmup_steps) / decay_steps, 0.0, 1.0)
  return peak * warmup * 0.5 * (1 + jnp.cos(jnp.pi * progress))


def make_train_step(
  batch_loss_fn: BatchLossFn,
  optimizer: optax.GradientTransformation,
  *,
  peak_learning_rate: float,
  warmup_steps: int,
  ema_decay: float,
  axis_name: str | None = None,
) -> TrainStep:
  """Builds the step.

  Args:
    batch_loss_fn: Draws examples and returns their losses.
    optimizer: Any optax transformation of learning rate 1.
    peak_learning_rate: Multiplies the optimiser's updates after the warm-up.
    warmup_steps: Length of the linear warm-up, in steps.
    ema_decay: Decay of the moving average, in [0, 1); while the run is young it
      is (1 + step) / (10 + step), so that the start is forgotten.
    axis_name: Name of the device axis to average over, or None.

  Raises:
    ValueError: If an option is out of range.
  """
  arrays.check_in_range(
    'peak_learning_rate', peak_learning_rate, 0, float('inf'), open_low=True
  )
  arrays.check_in_range('warmup_steps', warmup_steps, 0, float('inf'))
  arrays.check_in_range('ema_decay', ema_decay, 0, 1, open_high=True)

  def train_step(
    state: TrainState, index: Array, data: Any, num_steps: Array
  ) -> tuple[TrainState, Metrics]:
    run_key = jax.random.wrap_key_data(state.key_data)
    key = jax.random.fold_in(run_key, state.step)

    def mean_loss(params: Params) -> Array:
      learned = LearnedParams(params, state.basis, state.cond_basis)
      return jnp.mean(batch_loss_fn(learned, data, key, index))

    loss, grads = jax.value_and_grad(mean_loss)(state.params)
    if axis_name is not None:
      loss, grads = jax.lax.pmean((loss, grads), axis_name)
    rate = learning_rate(
      state.step,
      num_steps,
      peak=peak_learning_rate,
      warmup_steps=warmup_steps,
    )
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    updates = jax.tree.map(lambda u: rate * u, updates)
    params = optax.apply_updates(state.params, updates)
    decay = jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
    ema_params = optax.incremental_update(params, state.ema_params, 1 - decay)
    new_state = dataclasses.replace(
      state,
      step=state.step + 1,
      params=params,
      ema_params=ema_params,
      opt_state=opt_state,
    )
    return new_state, Metrics(loss, optax.global_norm(grads), rate)

  return train_step
