"""Regression of a block of high pixels on the source patch below it.

Minimises the absolute error of normalised targets. Its minimum is the median,
which for what is missing in an upscaling lies at the mean, and which a few
pairs of another kind pull at less than at the squared error's.
"""

from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis, upscaling_pairs
from internal_diffusion.data.upscaling_pairs import UpscalingPairs
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import calls, setup
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


def make_network(
  pairs: UpscalingPairs, config: ml_collections.ConfigDict
) -> RegressionMLP:
  """The network of a configuration for blocks of these pairs.

  Raises:
    ValueError: If a field is not usable.
  """
  for name in ('width', 'depth'):
    arrays.check_positive_int(f'network.{name}', config.network[name])
  return RegressionMLP(
    pairs.target.shape[-1], config.network.width, config.network.depth
  )


def make_task(
  pairs: UpscalingPairs, config: ml_collections.ConfigDict
) -> calls.Task:
  """Checks a configuration and makes the task of it.

  Args:
    pairs: What to learn.
    config: `seed`, `batch_size`, `network`, `optimizer` and `ema_decay` as in
      configs/default.py.

  Raises:
    ValueError: If a field is not usable.
  """
  arrays.check_positive_int('batch_size', config.batch_size)
  network = make_network(pairs, config)
  optimizer = setup.make_optimizer(config)

  def batch_loss_fn(
    params: LearnedParams, data: UpscalingPairs, key: Array, index: Array
  ) -> Array:
    features, target = upscaling_pairs.sample_pairs(
      key, data, num=config.batch_size
    )
    predicted = cast(Array, network.apply(params.network, features[index]))
    return jnp.mean(jnp.abs(predicted - target[index]), axis=-1)

  def initial_state() -> TrainState:
    network_key, run_key = jax.random.split(jax.random.key(config.seed))
    first = jax.jit(network.init)(
      network_key, jnp.zeros((1, pairs.source.shape[-1]))
    )
    return create_train_state(
      run_key,
      # Targets are normalised as they are.
      LearnedParams(first, principal_basis.standard_basis(network.output_dim)),
      optimizer,
    )

  return calls.Task(
    data=pairs,
    train_step=setup.make_train_step(batch_loss_fn, optimizer, config),
    initial_state=initial_state,
  )
