"""Training p(delta | source, target) on the frame moved along known fields.

Two losses, of the same pairs: the negative log-likelihood of the encoder's
Gaussian, and the denoising loss of what the head makes of it.
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.data import flow_pairs, pair_features, principal_basis
from internal_diffusion.data.flow_pairs import FlowPairs
from internal_diffusion.data.pair_features import PairEncoding
from internal_diffusion.denoisers import displacement
from internal_diffusion.denoisers.displacement import (
  DisplacementMLP,
  DisplacementParams,
)
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.diffusion import losses
from internal_diffusion.training import calls, setup
from internal_diffusion.training.state import TrainState, create_train_state
from internal_diffusion.types import Condition

Array = jax.Array

_NUM_FITTED = 16384  # Pairs that the encoding is fitted to.


def make_network(config: ml_collections.ConfigDict) -> DisplacementMLP:
  """The network of a configuration.

  Raises:
    ValueError: If a field is not usable.
  """
  for name in ('width', 'depth'):
    arrays.check_positive_int(f'network.{name}', config.network[name])
  return DisplacementMLP(config.network.width, config.network.depth)


def draw_pairs(
  key: Array, pairs: FlowPairs, config: ml_collections.ConfigDict, *, num: int
) -> tuple[Array, Array, Array, Array]:
  """Triplets as a camera would see them: noisy, the target at its own gain.

  Args:
    key: Of the draw.
    pairs: Where from.
    config: `patch_size`, `sensor_noise` and `gain` as in configs/flow.py.
    num: How many, N.

  Returns:
    Sources [N, P*P], targets [N, P*P], deltas [N, 2] and noise levels [N].
  """
  pair_key, level_key, noise_key, gain_key = jax.random.split(key, 4)
  source, target, delta = flow_pairs.sample_pairs(
    pair_key, pairs, num=num, patch_size=config.patch_size
  )
  level = losses.loguniform_sigma(
    jax.random.uniform(level_key, (num,)),
    sigma_min=config.sensor_noise[0],
    sigma_max=config.sensor_noise[1],
  )
  noise = level[None, :, None] * jax.random.normal(
    noise_key, (2, *source.shape)
  )
  gain = 1 + config.gain * jax.random.normal(gain_key, (num, 1))
  return source + noise[0], gain * target + noise[1], delta, level


def fit_encoding(
  pairs: FlowPairs, config: ml_collections.ConfigDict
) -> PairEncoding:
  """The encoding of the pairs that training draws."""
  source, target, *_ = draw_pairs(
    jax.random.key(config.train.seed), pairs, config, num=_NUM_FITTED
  )
  return pair_features.fit_encoding(source, target, stddev=config.stddev)


def make_task(
  pairs: FlowPairs, encoding: PairEncoding, config: ml_collections.ConfigDict
) -> calls.Task:
  """Checks a configuration and makes the task of it.

  Args:
    pairs: What to learn.
    encoding: Fitted to them.
    config: As in configs/flow.py.

  Raises:
    ValueError: If a field is not usable.
  """
  train = config.train
  arrays.check_positive_int('batch_size', train.batch_size)
  network = make_network(train)
  optimizer = setup.make_optimizer(train)

  def batch_loss_fn(
    params: LearnedParams,
    data: tuple[FlowPairs, PairEncoding],
    key: Array,
    index: Array,
  ) -> Array:
    draw_key, level_key, noise_key = jax.random.split(key, 3)
    source, target, delta, sigma_aug = (
      values[index]
      for values in draw_pairs(draw_key, data[0], config, num=train.batch_size)
    )
    own = DisplacementParams(params.network, data[1])
    vector = displacement.encode(network, own, source, target, sigma_aug)
    level = losses.stratified_uniform(level_key, index, train.batch_size)
    sigma = losses.loguniform_sigma(
      level,
      sigma_min=train.noise.sigma_min,
      sigma_max=train.noise.sigma_max,
    )
    noise = jax.random.normal(noise_key, (train.batch_size, 2))[index]
    error = displacement.weighted_loss(
      network,
      own,
      delta,
      delta + sigma[:, None] * noise,
      sigma,
      Condition(vector=vector),
    )
    gaussian = displacement.gaussian_of(vector)
    likelihood = displacement.negative_log_likelihood(gaussian, delta)
    return likelihood + config.denoising_weight * error

  def initial_state() -> TrainState:
    network_key, run_key = jax.random.split(jax.random.key(train.seed))
    patch = jnp.zeros((1, config.patch_size**2))
    features, _ = pair_features.features_of(encoding, patch, patch, jnp.ones(1))
    params = cast(Any, jax.jit(network.init)(network_key, features))
    basis = principal_basis.standard_basis(2)  # Pixels as they are.
    return create_train_state(run_key, LearnedParams(params, basis), optimizer)

  return calls.Task(
    data=(pairs, encoding),
    train_step=setup.make_train_step(batch_loss_fn, optimizer, train),
    initial_state=initial_state,
  )
