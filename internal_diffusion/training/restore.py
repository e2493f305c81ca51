"""From a run's folder back to its denoiser, without its photograph."""

import dataclasses
import os
import pathlib

import ml_collections

from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.training import model, setup, workdir
from internal_diffusion.training.checkpoint import CheckpointStore
from internal_diffusion.training.state import learned_params
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
  level_sizes = setup.level_sizes(height, width, config)
  network = model.make_network(
    config, num_levels=len(level_sizes), num_channels=channels
  )
  directory = pathlib.Path(run_dir) / workdir.CHECKPOINT_DIR
  restored = None
  if directory.is_dir():
    with CheckpointStore(directory, writable=False) as store:
      restored = store.restore(setup.state_shapes(network, config))
  if restored is None:
    raise ValueError(f'{run_dir} holds no checkpoint yet; train it further.')
  return TrainedModel(
    config=config,
    image_shape=(height, width, channels),
    level_sizes=level_sizes,
    network=network,
    principal_denoise_fn=model.make_denoise_fn(network, config),
    params=learned_params(restored.state),
    step=restored.step,
  )
