"""One training step of one device, as a pure function.

A loss receives the key of the step and the places of its examples in the whole
batch. What it draws for an example depends on these alone, not on how the batch
is divided among devices.
"""

import dataclasses
import math
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from internal_diffusion.training.options import Optimizer, OptimizerOptions
from internal_diffusion.training.state import TrainState, with_params
from internal_diffusion.types import Params

Array = jax.Array


class Loss(Hashable, Protocol):
  """A loss, a value: equal losses compile once."""

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: Any,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of some examples of a batch.

    Args:
      key: Key of the step, the same for all examples.
      state: The state; gradients are those of `state.model.params`.
      data: Arrays that the examples are drawn from.
      progress: Fraction of the run that is over, scalar in [0, 1].
      index: Places of the examples in the batch, [b] int32.

    Returns:
      One loss for each example, [b].
    """


class Metrics(NamedTuple):
  """Scalars of one step, means over the batch."""

  loss: Array
  grad_norm: Array
  learning_rate: Array


def make_optimizer(options: OptimizerOptions) -> optax.GradientTransformation:
  """The optimiser of the options, at learning rate 1."""
  match options.name:
    case Optimizer.ADAM:
      optimizer = optax.adam(1.0, b2=0.99)
    case Optimizer.ADAMW:
      optimizer = optax.adamw(1.0, b2=0.99, weight_decay=options.weight_decay)
    case Optimizer.MUON:
      optimizer = optax.contrib.muon(1.0, weight_decay=options.weight_decay)
    case Optimizer.SGD:
      optimizer = optax.sgd(1.0, momentum=0.9)
  # Without a bound too: a resumed run may set one, and the structure of the
  # state must stay.
  clip = optax.clip_by_global_norm(options.clip_norm or math.inf)
  return optax.chain(clip, optimizer)


def learning_rate(
  step: Array, num_steps: Array, *, peak: float, warmup_steps: int
) -> Array:
  """Linear warm-up, then a half cosine from `peak` to 0 at `num_steps`.

  `num_steps` may change during a run, because a run bounded by minutes learns
  its length only as it goes. The schedules of optax take it as a constant.
  """
  warmup = jnp.minimum((step + 1) / max(warmup_steps, 1), 1.0)
  decay_steps = jnp.maximum(num_steps - warmup_steps, 1)
  progress = jnp.clip((step - warmup_steps) / decay_steps, 0.0, 1.0)
  return peak * warmup * 0.5 * (1 + jnp.cos(jnp.pi * progress))


@dataclasses.dataclass(frozen=True)
class Step:
  """A training step, a value: equal steps compile once.

  Attributes:
    loss: The loss.
    optimizer: The optimiser and its learning rate.
    ema_decay: Decay of the moving average; early in a run it is (1 + step) /
      (10 + step), so that the initial parameters are forgotten.
  """

  loss: Loss
  optimizer: OptimizerOptions
  ema_decay: float

  def __call__(
    self,
    state: TrainState,
    index: Array,
    weight: Array,
    data: Any,
    num_steps: Array,
    *,
    axis_name: str | None = None,
  ) -> tuple[TrainState, Metrics]:
    """Takes the step; returns the state after it, and its metrics.

    Args:
      state: The state before the step.
      index: Places of this device's examples in the batch, [b] int32.
      weight: Weights of their losses, [b]; over all devices they sum to 1.
      data: Arrays that the loss draws from.
      num_steps: Length of the whole run, scalar.
      axis_name: Name of the device axis to sum over, or None.
    """
    key = jax.random.wrap_key_data(state.key_data)
    key = jax.random.fold_in(key, state.step)
    progress = jnp.clip(state.step / num_steps, 0.0, 1.0)

    def mean_loss(params: Params) -> Array:
      model = with_params(state.model, params)
      current = dataclasses.replace(state, model=model)
      losses = self.loss(key, current, data, progress, index)
      return jnp.sum(weight * losses)

    mean, grads = jax.value_and_grad(mean_loss)(state.model.params)
    if axis_name is not None:
      mean, grads = jax.lax.psum((mean, grads), axis_name)
    rate = learning_rate(
      state.step,
      num_steps,
      peak=self.optimizer.learning_rate,
      warmup_steps=self.optimizer.warmup_steps,
    )
    updates, opt_state = make_optimizer(self.optimizer).update(
      grads, state.opt_state, state.model.params
    )
    updates = jax.tree.map(lambda u: rate * u, updates)
    params = optax.apply_updates(state.model.params, updates)
    decay = jnp.minimum(self.ema_decay, (1 + state.step) / (10 + state.step))
    new_state = dataclasses.replace(
      state,
      step=state.step + 1,
      model=with_params(state.model, params),
      average=optax.incremental_update(params, state.average, 1 - decay),
      opt_state=opt_state,
    )
    return new_state, Metrics(mean, optax.global_norm(grads), rate)
