"""From one photograph to new patches and images: trains, samples, shows.

  idiff-demo --out=out/demo

Makes new images of the coffee photograph that comes with scikit-image, which
takes no training. Then trains p(patch) on it, at all levels of its
pyramid, draws new patches and compares them with real ones. Open
OUT/index.html when it is done. An interrupted run goes on where it stopped.
"""

import pathlib
import shutil
import time
from typing import Any

import jax
import ml_collections
import numpy as np
import skimage.data
from absl import flags
from tqdm import tqdm

from internal_diffusion import arrays, report
from internal_diffusion.applications import (
  generation,
  image_model,
  patch_evaluation,
)
from internal_diffusion.bin import command, evaluate, sample
from internal_diffusion.configs import patch
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.patch_two_sample import MIN_PATCHES
from internal_diffusion.training import loop
from internal_diffusion.training.restore import load_model
from internal_diffusion.training.workdir import OtherConfigurationError

_NAME = 'idiff-demo'
_FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string(
  'out', 'out/demo', 'Folder to write to.', flag_values=_FLAGS
)
_MINUTES = flags.DEFINE_float(
  'minutes', 2.5, 'Time to train for; more is better.', flag_values=_FLAGS
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 4096, 'How many patches to draw.', flag_values=_FLAGS
)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed.', flag_values=_FLAGS)

_PARAGRAPHS = (
  'New images, made of nothing but the patches of the photograph below. That'
  ' takes no training: the denoiser is the exact posterior mean over its'
  ' patches.',
  'A small diffusion model has seen nothing but the photograph below: its 7x7'
  ' patches, at every level of its pyramid. Here are also patches it has made'
  ' up, beside real ones.',
  'Each row of the table compares two sets of patches. The last column compares'
  ' two sets of real ones: that is what perfection looks like.',
)
_PICTURES = (
  ('generated.png', 'Three new images.'),
  ('comparison.png', 'Generated patches, and real ones.'),
  ('coffee.png', 'All that the model has seen.'),
  ('denoising.png', 'Six patches on their way from noise to clean.'),
  (
    'variance.png',
    'Does fine detail have its strength? The variance along each principal'
    ' component, by decreasing size.',
  ),
  ('run/loss.png', 'The training.'),
)
_ROWS = {
  'Accuracy of a classifier (chance is 0.5)': 'c2st_accuracy',
  'Accuracy of boosted trees (chance is 0.5)': 'boosted_trees_accuracy',
  'Sliced Wasserstein distance': 'sliced_wasserstein',
  'Squared MMD': 'mmd_squared',
  'Spread of the variance ratios (0 is none)': 'variance_log_rms',
  'Distance to the nearest training patch': 'nearest_distance_median',
  'Share of copies': 'copy_share',
}


def main() -> None:
  """Trains, samples, evaluates, writes the page."""
  command.check_seed(_SEED.value)
  arrays.check_in_range('num_samples', _NUM_SAMPLES.value, MIN_PATCHES, 2**20)
  start = time.monotonic()
  directory = command.output_dir(_OUT.value)
  config = patch.get_config()
  config.image = str(directory / 'coffee.png')
  config.max_minutes = _MINUTES.value
  config.num_steps = 0
  config.seed = _SEED.value
  photograph = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  image_io.write_image(
    config.image, image_io.bound_side(photograph, max_side=config.max_side)
  )
  image = image_io.read_image(config.image)
  generating = _generate(image, directory, seed=config.seed)
  trained = _train(image, config, directory / 'run')
  if trained.interrupted:
    print(f'{_NAME}: stopped and saved; the same command goes on from there.')
    return
  sampled = sample.sample_to(
    directory,
    load_model(directory / 'run'),
    num_samples=_NUM_SAMPLES.value,
    seed=config.seed,
  )
  evaluation_start = time.monotonic()
  figures = evaluate.evaluate_patches(
    directory,
    patch_evaluation.read_samples(directory / 'samples.npz'),
    image,
    seed=config.seed,
    max_patches=_NUM_SAMPLES.value,
  )
  seconds = {
    'setup': trained.seconds['setup'],
    'compile': trained.seconds['compile'] + sampled['compile'],
    'run': trained.seconds['run'] + sampled['run'],
    'generating': generating,
    'evaluation': time.monotonic() - evaluation_start,
    'total': time.monotonic() - start,
  }
  report.write_report(
    directory,
    figures={'training_loss': trained.loss, **figures},
    settings=config.to_dict(),
    seed=config.seed,
    seconds=seconds,
  )
  _write_page(directory, figures)
  print(f'{_NAME}: open {directory / "index.html"}')


def _generate(
  image: np.ndarray, directory: pathlib.Path, *, seed: int
) -> float:
  """Writes three new images side by side and returns the seconds it took."""
  start = time.monotonic()
  photograph = image_model.prepare(image)
  made = []
  for index in tqdm(range(3), desc='generating', unit='image'):
    key = jax.random.key(seed + index)
    made.append(generation.generate(key, photograph)[-1])
  image_io.write_grid(
    directory / 'generated.png', np.stack(made), num_columns=3
  )
  return time.monotonic() - start


def _train(
  image: np.ndarray, config: ml_collections.ConfigDict, run_dir: pathlib.Path
) -> loop.TrainResult:
  """Trains; a run of other settings in the demo's folder makes room."""
  try:
    return loop.train(image, config, run_dir)
  except OtherConfigurationError:
    print(f'{_NAME}: {run_dir} was of other settings; starting anew.')
    shutil.rmtree(run_dir)
    return loop.train(image, config, run_dir)


def _write_page(directory: pathlib.Path, figures: dict[str, Any]) -> None:
  table = {
    row: {
      'generated': f'{figures["generated"][name]:.4g}',
      'real': f'{figures["control"][name]:.4g}',
    }
    for row, name in _ROWS.items()
  }
  report.write_page(
    directory / 'index.html',
    title='New patches from one photograph',
    paragraphs=_PARAGRAPHS,
    pictures=_PICTURES,
    table=table,
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
