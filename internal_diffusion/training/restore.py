"""From a run's folder back to its denoiser, without its photograph."""

import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.data.pyramid import pyramid_sizes
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.training import model, setup, workdir
from internal_diffusion.training.checkpoint import CheckpointStore
from internal_diffusion.training.state import (
  TrainState,
  create_train_state,
  learned_params,
)
from internal_diffusion.types import ParametricDenoiseFn


@dataclasses.dataclass(frozen=True)
class TrainedModel:
  """What a run has learnt.

  Attributes:
    config: Its configuration.
    image_shape: (H, W, C) of the photograph it was trained on.
    level_sizes: (height, width) of each pyramid level, finest first.
    network: The score network.
    principal_denoise_fn: Its denoiser, `(params, z, sigma, cond)`, of principal
      coordinates; `denoisers.learned` takes it to pixels.
    params: Averaged parameters and basis.
    step: Step of the checkpoint they come from.
  """

  config: ml_collections.ConfigDict
  image_shape: tuple[int, int, int]
  level_sizes: list[tuple[int, int]]
  network: ScoreMLP
  principal_denoise_fn: ParametricDenoiseFn
  params: LearnedParams
  step: int


def load_model(run_dir: str | os.PathLike) -> TrainedModel:
  """Reads the newest good checkpoint of a run.

  Raises:
    ValueError: If the folder holds no run or no good checkpoint.
  """
  settings = workdir.read_settings(run_dir)
  config = ml_collections.ConfigDict(settings)
  height, width, channels = settings['image_shape']
  level_sizes = pyramid_sizes(
    height,
    width,
    scale_factor=config.pyramid.scale_factor,
    min_side=min(config.pyramid.min_side, height, width),
  )
  network = model.make_network(
    config, num_levels=len(level_sizes), num_channels=channels
  )
  directory = pathlib.Path(run_dir) / workdir.CHECKPOINT_DIR
  restored = None
  if directory.is_dir():
    with CheckpointStore(directory, keep=config.checkpoint.keep) as store:
      restored = store.restore(_state_shapes(network, config))
  if restored is None:
    raise ValueError(f'{run_dir} holds no checkpoint yet; train it further.')
  state, step = restored
  return TrainedModel(
    config=config,
    image_shape=(height, width, channels),
    level_sizes=level_sizes,
    network=network,
    principal_denoise_fn=model.make_denoise_fn(network, config),
    params=learned_params(state),
    step=step,
  )


def _state_shapes(
  network: ScoreMLP, config: ml_collections.ConfigDict
) -> TrainState:
  """Shapes and types of the run's state, nothing computed."""

  def make_state() -> TrainState:
    dim = network.output_dim // 2
    basis = PrincipalBasis(
      mean=jnp.zeros(dim),
      components=jnp.zeros((dim, dim)),
      stddev=jnp.zeros(dim),
    )
    params = model.init_network(jax.random.key(0), network)
    optimizer = setup.make_optimizer(config)
    return create_train_state(jax.random.key(0), params, basis, optimizer)

  return jax.eval_shape(make_state)
