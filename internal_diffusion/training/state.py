"""The state of a training run at one step."""

import dataclasses
from typing import Any, Protocol, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import optax

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


def create_train_state(
  key: Array,
  model: Trainable,
  optimizer: optax.GradientTransformation,
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
    opt_state=optimizer.init(model.params),
    data_params=copied() if makes_data else None,
    data_round=jnp.zeros((), jnp.int32),
  )
