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
import numpy as np
import skimage.data
from absl import flags
from tqdm import tqdm

from internal_diffusion import arrays, figures
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.applications.patches import (
  PatchModel,
  PatchOptions,
  evaluation,
)
from internal_diffusion.applications.patches.training import train_patches
from internal_diffusion.bin import (
  command,
  common_flags,
  evaluate,
  option_flags,
  sample,
)
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.patch_two_sample import MIN_PATCHES
from internal_diffusion.training import metrics
from internal_diffusion.training.fit import Fitted
from internal_diffusion.training.run_folder import OtherSettingsError

_MAX_SIDE = 250


@dataclasses.dataclass(frozen=True)
class DemoOptions:
  """Options of the demonstration.

  Attributes:
    minutes: Minutes of training; more is better.
    num_samples: Number of patches to draw.
  """

  minutes: float = 2.0
  num_samples: int = 4096

  def __post_init__(self) -> None:
    """Checks the options."""
    arrays.check_in_range('minutes', self.minutes, 0, 10**6, open_low=True)
    arrays.check_in_range('num_samples', self.num_samples, MIN_PATCHES, 2**20)


_NAME = 'idiff-demo'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'out', 'seed', 'overwrite')
option_flags.define(_FLAGS, DemoOptions)

_PARAGRAPHS = (
  'The new images consist of patches of the photograph below. They need no'
  ' training: the denoiser is the exact posterior mean over the patches.',
  'A small diffusion model was trained on the 7x7 patches of the photograph, at'
  ' every level of its pyramid. The generated patches are samples of it.',
  'Each row of the table compares two sets of patches. The last column compares'
  ' two sets of real patches, which is the best possible value.',
)
_ROWS = {
  'Accuracy of a classifier (chance is 0.5)': 'c2st_accuracy',
  'Accuracy of boosted trees (chance is 0.5)': 'boosted_trees_accuracy',
  'Sliced Wasserstein distance': 'sliced_wasserstein',
  'Squared MMD': 'mmd_squared',
  'Deviation of the variance ratios (0 is none)': 'variance_log_rms',
  'Distance to the nearest training patch': 'nearest_distance_median',
  'Fraction of copies': 'copy_fraction',
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
  path = results.picture(
    'coffee.png', 'The photograph, the only training data.'
  )
  photograph = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  image_io.write_image(
    path, image_io.bound_side(photograph, max_side=_MAX_SIDE)
  )
  image = image_io.read_image(path)
  results.lap('setup')
  image_io.write_grid(
    results.picture('generated.png', 'Three new images.'),
    _generate(image),
    num_columns=3,
  )
  results.lap('generating')
  fitted = _train(image, options, results.directory / 'run')
  figures.write_or_warn(
    results.picture('loss.png', 'Training loss.'),
    figures.loss_curve,
    metrics.read_metrics(results.directory / 'run'),
  )
  results.lap('training')
  if fitted.interrupted:
    results.summary = 'stopped and saved; the same command continues the run'
    return {'training_loss': fitted.loss}
  sample.sample_to(
    results, fitted.model, num_samples=options.num_samples, seed=_FLAGS.seed
  )
  measured = evaluate.evaluate_patches(
    results,
    evaluation.read_samples(results.path('samples.npz')),
    image,
    seed=_FLAGS.seed,
    max_patches=options.num_samples,
  )
  results.lap('evaluation')
  results.title = 'New images and patches from one photograph'
  results.paragraphs += _PARAGRAPHS
  results.table = {
    row: {
      'generated': f'{measured["generated"][name]:.4g}',
      'real': f'{measured["control"][name]:.4g}',
    }
    for row, name in _ROWS.items()
  }
  results.summary = 'index.html'
  return {'training_loss': fitted.loss, **measured}


def _generate(image: np.ndarray) -> np.ndarray:
  """Three new images, [3, H, W, C]."""
  prior = make_image_prior(image)
  keys = [jax.random.key(_FLAGS.seed + index) for index in range(3)]
  made = [
    generate(key, prior)[0]
    for key in tqdm(keys, desc='generating', unit='image')
  ]
  return np.stack(made)


def _train(
  image: np.ndarray, options: DemoOptions, run_dir: pathlib.Path
) -> Fitted[PatchModel]:
  """Trains; deletes an earlier run with other settings first."""
  patch_options = PatchOptions(
    seed=_FLAGS.seed, num_steps=0, max_minutes=options.minutes
  )
  try:
    return train_patches(image, patch_options, run_dir, progress=True)
  except OtherSettingsError:
    print(f'{_NAME}: {run_dir} has other settings; starting anew.')
    shutil.rmtree(run_dir)
    return train_patches(image, patch_options, run_dir, progress=True)


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
