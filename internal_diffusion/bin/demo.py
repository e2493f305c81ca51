"""Makes new images and patches from one photograph, and shows them.

  idiff-demo --out=out/demo

Makes new images from the coffee photograph of scikit-image, without training.
Then trains a model of its patches at all levels of its pyramid, draws new
patches and compares them with real ones. Open OUT/index.html at the end. The
same command continues an interrupted run.
"""

import dataclasses
import pathlib
import shutil
from typing import Any

import jax
import ml_collections
import numpy as np
import skimage.data
from absl import flags
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.applications import (
  generation,
  image_model,
  patch_evaluation,
)
from internal_diffusion.bin import command, evaluate, option_flags, sample
from internal_diffusion.bin.results import Results
from internal_diffusion.configs import patch
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.patch_two_sample import MIN_PATCHES
from internal_diffusion.training import loop
from internal_diffusion.training.restore import load_model
from internal_diffusion.training.workdir import OtherConfigurationError


@dataclasses.dataclass(frozen=True)
class DemoOptions:
  """Options of the demonstration.

  Attributes:
    minutes: Minutes of training; more is better.
    num_samples: Number of patches to draw.
  """

  minutes: float = 2.5
  num_samples: int = 4096

  def __post_init__(self) -> None:
    """Checks the options."""
    arrays.check_in_range('minutes', self.minutes, 0, 10**6, open_low=True)
    arrays.check_in_range('num_samples', self.num_samples, MIN_PATCHES, 2**20)


_NAME = 'idiff-demo'
_FLAGS = flags.FlagValues()
command.define_common(_FLAGS, 'out', 'seed', 'overwrite')
option_flags.define(_FLAGS, DemoOptions)

_PARAGRAPHS = (
  'The new images consist of patches of the photograph below. They need no'
  ' training: the denoiser is the exact posterior mean over the patches.',
  'A small diffusion model was trained on the 7x7 patches of the photograph, at'
  ' every level of its pyramid. The generated patches are samples of it.',
  'Each row of the table compares two sets of patches. The last column compares'
  ' two sets of real patches, which is the best possible value.',
)
_CAPTIONS = {
  'generated.png': 'Three new images.',
  'coffee.png': 'The photograph, the only training data.',
  'denoising.png': 'Six patches on their way from noise to clean.',
  'run/loss.png': 'Training loss.',
}
_ROWS = {
  'Accuracy of a classifier (chance is 0.5)': 'c2st_accuracy',
  'Accuracy of boosted trees (chance is 0.5)': 'boosted_trees_accuracy',
  'Sliced Wasserstein distance': 'sliced_wasserstein',
  'Squared MMD': 'mmd_squared',
  'Deviation of the variance ratios (0 is none)': 'variance_log_rms',
  'Distance to the nearest training patch': 'nearest_distance_median',
  'Fraction of copies': 'copy_share',
}


def main() -> None:
  """Trains, samples, evaluates, writes the page."""
  options = option_flags.read(_FLAGS, DemoOptions)
  command.for_each_input(
    _FLAGS,
    lambda results: _show(results, options),
    name=_NAME,
    settings=options,
    outputs=('*.png', 'samples.npz'),
    given={'coffee': ()},
  )


def _show(results: Results, options: DemoOptions) -> dict[str, Any]:
  config = patch.get_config()
  config.image = str(results.picture('coffee.png', _CAPTIONS['coffee.png']))
  config.max_minutes, config.num_steps = options.minutes, 0
  config.seed = _FLAGS.seed
  photograph = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  image_io.write_image(
    config.image, image_io.bound_side(photograph, max_side=config.max_side)
  )
  image = image_io.read_image(config.image)
  results.lap('setup')
  image_io.write_grid(
    results.picture('generated.png', _CAPTIONS['generated.png']),
    _generate(image),
    num_columns=3,
  )
  results.lap('generating')
  run_dir = results.directory / 'run'
  trained = _train(image, config, run_dir)
  results.lap('training')
  results.pictures.append(('run/loss.png', _CAPTIONS['run/loss.png']))
  if trained.interrupted:
    results.summary = 'stopped and saved; the same command goes on from there,'
    return {'training_loss': trained.loss}
  results.path('samples.npz')
  results.path('samples.png')
  results.picture('denoising.png', _CAPTIONS['denoising.png'])
  sample.sample_to(
    results.directory,
    load_model(run_dir),
    num_samples=options.num_samples,
    seed=_FLAGS.seed,
  )
  results.lap('sampling')
  figures = evaluate.evaluate_patches(
    results,
    patch_evaluation.read_samples(results.path('samples.npz')),
    image,
    seed=_FLAGS.seed,
    max_patches=options.num_samples,
  )
  results.lap('evaluation')
  results.title = 'New patches from one photograph'
  results.paragraphs += _PARAGRAPHS
  results.table = {
    row: {
      'generated': f'{figures["generated"][name]:.4g}',
      'real': f'{figures["control"][name]:.4g}',
    }
    for row, name in _ROWS.items()
  }
  results.summary = 'index.html is'
  return {'training_loss': trained.loss, **figures}


def _generate(image: np.ndarray) -> np.ndarray:
  """Three new images, [3, H, W, C]."""
  model = image_model.prepare(image)
  keys = [jax.random.key(_FLAGS.seed + index) for index in range(3)]
  made = [
    generation.generate(key, model)[-1]
    for key in tqdm(keys, desc='generating', unit='image')
  ]
  return np.stack(made)


def _train(
  image: np.ndarray, config: ml_collections.ConfigDict, run_dir: pathlib.Path
) -> loop.TrainResult:
  """Trains; deletes an earlier run with other settings first."""
  try:
    return loop.train(image, config, run_dir)
  except OtherConfigurationError:
    print(f'{_NAME}: {run_dir} has other settings; starting anew.')
    shutil.rmtree(run_dir)
    return loop.train(image, config, run_dir)


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
