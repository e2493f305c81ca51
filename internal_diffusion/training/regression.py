"""Regression of a block of high pixels on the source patch below it.

Minimises the absolute error of normalised targets. Its minimum is the median,
which for what is missing in an upscaling lies at the mean, and which a few
pairs of another kind pull at less than at the squared error's.
"""

from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import calls, setup
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.state import TrainState, create_train_state

Array = jax.Array


class RegressionMLP(nn.Module):
  """A residual MLP from features [..., F] to blocks [..., D].

  Attributes:
    output_dim: D.
    width: Of the residual stream.
    depth: Number of residual blocks.
  """

  output_dim: int
  width: int
  depth: int

  @nn.compact
  def __call__(self, features: Array) -> Array:
    """Features to blocks; 0 before training."""
    hidden = nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(
      features
    )
    for _ in range(self.depth):
      update = nn.gelu(nn.Dense(self.width)(nn.gelu(hidden)))
      hidden += nn.Dense(
        self.width,
        # Small, so that a deep network starts near the identity.
        kernel_init=nn.initializers.variance_scaling(0.2, 'fan_in', 'normal'),
      )(update)
    return nn.Dense(self.output_dim, kernel_init=nn.initializers.zeros)(
      nn.gelu(hidden)
    )


def absolute_error(said: Array, target: Array) -> Array:
  """The mean absolute error of [B, D], [B]."""
  return jnp.mean(jnp.abs(said - target), axis=-1)


def make_task(
  examples: Examples,
  network: nn.Module,
  config: ml_collections.ConfigDict,
  *,
  loss_fn: Callable[[Array, Array], Array] = absolute_error,
) -> calls.Task:
  """Checks a configuration and makes the task of it.

  Args:
    examples: Of targets [N, D]; the condition's vector holds the features.
    network: From features to what is said of targets.
    config: `seed`, `batch_size`, `network`, `optimizer` and `ema_decay` as in
      configs/default.py.
    loss_fn: `(said, target) -> [N]`.

  Raises:
    ValueError: If a field is not usable.
  """
  arrays.check_positive_int('batch_size', config.batch_size)
  for name in ('width', 'depth'):
    arrays.check_positive_int(f'network.{name}', config.network[name])
  optimizer = setup.make_optimizer(config)

  def batch_loss_fn(
    params: LearnedParams, data: Any, key: Array, index: Array
  ) -> Array:
    target, cond = examples.draw_fn(key, data, config.batch_size)
    features = cast(Array, cond.vector)[index]
    said = cast(Array, network.apply(params.network, features))
    return loss_fn(said, target[index])

  def initial_state() -> TrainState:
    network_key, run_key = jax.random.split(jax.random.key(config.seed))
    first = jax.jit(network.init)(
      network_key, jnp.zeros((1, sum(examples.layout.given_sizes)))
    )
    basis = principal_basis.standard_basis(sum(examples.layout.x0_sizes))
    # Targets are normalised as they are.
    return create_train_state(run_key, LearnedParams(first, basis), optimizer)

  return calls.Task(
    data=examples.data,
    train_step=setup.make_train_step(batch_loss_fn, optimizer, config),
    initial_state=initial_state,
  )
