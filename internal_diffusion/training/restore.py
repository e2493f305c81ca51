"""From a run's folder back to its denoiser, without its photograph."""

import dataclasses
import os
import pathlib

import ml_collections

from internal_diffusion.training import examples, model, setup, workdir
from internal_diffusion.training.checkpoint import CheckpointStore
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.training.state import learned_params


@dataclasses.dataclass(frozen=True)
class TrainedModel(LearnedModel):
  """What a run has learnt of its photograph.

  Attributes:
    image_shape: (H, W, C) of the photograph it was trained on.
    level_sizes: (height, width) of each pyramid level, finest first.
    step: Step of the checkpoint they come from.
  """

  image_shape: tuple[int, int, int]
  level_sizes: list[tuple[int, int]]
  step: int


def load_model(run_dir: str | os.PathLike) -> TrainedModel:
  """Reads the newest good checkpoint of a run.

  Raises:
    ValueError: If the folder holds no run or no good checkpoint.
  """
  settings = workdir.read_settings(run_dir)
  config = ml_collections.ConfigDict(settings)
  height, width, channels = settings['image_shape']
  level_sizes = examples.level_sizes(height, width, config)
  layout = examples.image_layout(
    config, num_levels=len(level_sizes), num_channels=channels
  )
  network = model.make_network(config, layout)
  directory = pathlib.Path(run_dir) / workdir.CHECKPOINT_DIR
  restored = None
  if directory.is_dir():
    with CheckpointStore(directory, writable=False) as store:
      restored = store.restore(setup.state_shapes(network, layout, config))
  if restored is None:
    raise ValueError(f'{run_dir} holds no checkpoint yet; train it further.')
  return TrainedModel(
    config=config,
    layout=layout,
    image_shape=(height, width, channels),
    level_sizes=level_sizes,
    principal_denoise_fn=model.make_denoise_fn(network, layout, config),
    params=learned_params(restored.state),
    step=restored.step,
  )
