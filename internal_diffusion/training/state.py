"""The state of a training run at one step, and its optimiser."""

import dataclasses
import functools
import math
from typing import Any, Protocol, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import optax

from internal_diffusion.training.options import Optimizer, OptimizerOptions
from internal_diffusion.types import Params

Array = jax.Array


class Trainable(Protocol):
  """A model that can be trained: a frozen pytree with a field `params`.

  Only `params` is trained; all other leaves are frozen constants.
  """

  @property
  def params(self) -> Params:
    """Parameters of the network."""


Model = TypeVar('Model', bound=Trainable)


def with_params(model: Model, params: Params) -> Model:
  """The model with other parameters."""
  return dataclasses.replace(model, params=params)  # type: ignore[type-var]


@flax.struct.dataclass
class TrainState:
  """A pytree; every checkpoint holds all of it.

  Attributes:
    step: Number of steps taken, scalar int32.
    key_data: Data of the run's key. The key never changes: step s draws from
      fold_in(key, s), so a resumed run draws what an unbroken one does.
    model: The model being trained, with its frozen constants.
    average: Exponential moving average of the model's parameters.
    opt_state: State of the optimiser.
    data_params: The average that the current data were made with, where a run
      makes its data anew from its own model; None elsewhere.
    data_round: Round that the current data belong to, scalar int32.
  """

  step: Array
  key_data: Array
  model: Any
  average: Params
  opt_state: optax.OptState
  data_params: Params
  data_round: Array

  @property
  def averaged_model(self) -> Any:
    """The model with its averaged parameters, which is used after training."""
    return with_params(self.model, self.average)


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


@functools.partial(jax.jit, static_argnames=('options', 'makes_data'))
def create_train_state(
  key: Array,
  model: Trainable,
  options: OptimizerOptions,
  *,
  makes_data: bool = False,
) -> TrainState:
  """The state before the first step.

  `makes_data` is whether the run makes its data anew from its own model.
  """

  def copied() -> Params:
    # A step donates its state, so no buffer may be in it twice.
    return jax.tree.map(jnp.copy, model.params)

  return TrainState(
    step=jnp.zeros((), jnp.int32),
    key_data=jnp.copy(jax.random.key_data(key)),
    model=jax.tree.map(jnp.copy, model),
    average=copied(),
    opt_state=make_optimizer(options).init(model.params),
    data_params=copied() if makes_data else None,
    data_round=jnp.zeros((), jnp.int32),
  )
