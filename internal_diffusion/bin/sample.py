"""Draws new patches from a trained model.

  idiff-sample --workdir=runs/photo --num_samples=1024 --out=out/

Writes samples.npz (`patches` [N, P, P, C] in [-1, 1], `level` [N], and
`level_sizes` [L, 2], the height and width of each pyramid level), samples.png,
denoising.png (a few patches from noise to clean) and report.json.
"""

import io
import pathlib
import time

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files, report
from internal_diffusion.applications import model_sampling, patch_generation
from internal_diffusion.bin import command
from internal_diffusion.data import image_io
from internal_diffusion.training.restore import TrainedModel, load_model

_NAME = 'idiff-sample'
_FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
  'workdir', '', 'Folder of a run of idiff-train.', flag_values=_FLAGS
)
_OUT = flags.DEFINE_string('out', '', 'Folder to write to.', flag_values=_FLAGS)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 1024, 'How many patches.', flag_values=_FLAGS
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed; the same seed gives the same patches.', flag_values=_FLAGS
)
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps',
  None,
  'Heun steps; the configuration says how many by default.',
  flag_values=_FLAGS,
)
_S_CHURN = flags.DEFINE_float(
  's_churn',
  None,
  'Fresh noise over all steps; the configuration says how much by default.',
  flag_values=_FLAGS,
)
_CHUNK_SIZE = flags.DEFINE_integer(
  'chunk_size', 1024, 'Patches on the device at once.', flag_values=_FLAGS
)


def main() -> None:
  """Loads the model, draws, writes."""
  command.require(workdir=_WORKDIR.value, out=_OUT.value)
  command.check_seed(_SEED.value)
  arrays.check_positive_int('num_samples', _NUM_SAMPLES.value)
  arrays.check_positive_int('chunk_size', _CHUNK_SIZE.value)
  model = load_model(_WORKDIR.value)
  if _S_CHURN.value is not None:
    model.config.sampling.s_churn = _S_CHURN.value
  if _NUM_STEPS.value is not None:
    model.config.sampling.num_steps = _NUM_STEPS.value
  directory = command.output_dir(_OUT.value)
  sample_to(
    directory,
    model,
    num_samples=_NUM_SAMPLES.value,
    seed=_SEED.value,
    chunk_size=_CHUNK_SIZE.value,
  )
  print(f'{_NAME}: {_NUM_SAMPLES.value} patches in {directory}')


def sample_to(
  directory: pathlib.Path,
  model: TrainedModel,
  *,
  num_samples: int,
  seed: int,
  chunk_size: int = 1024,
) -> dict[str, float]:
  """Draws patches, writes them with pictures and report, returns its times."""
  start = time.monotonic()
  key = jax.random.key(seed)
  sample_fn = model_sampling.make_model_sample_fn(
    model,
    chunk_size=chunk_size,
  )
  # One chunk that is thrown away, so that compilation has a time of its own.
  patch_generation.generate_patches(key, model, sample_fn, num=1)
  compiled = time.monotonic()
  generated = patch_generation.generate_patches(
    key, model, sample_fn, num=num_samples, progress=True
  )
  times = {'compile': compiled - start, 'run': time.monotonic() - compiled}
  write_samples(directory / 'samples.npz', generated, model)
  image_io.write_grid(
    directory / 'samples.png', generated.patches[:1024], zoom=3
  )
  states, sigmas = patch_generation.denoising_states(key, model, num=6)
  figures.write_or_warn(
    directory / 'denoising.png', figures.denoising_strip, states, sigmas
  )
  report.write_report(
    directory,
    figures={
      'num_samples': num_samples,
      'patches_per_second': num_samples / times['run'],
    },
    settings={
      'step': model.step,
      'num_steps': model.config.sampling.num_steps,
      'chunk_size': chunk_size,
      'config': model.config.to_dict(),
    },
    seed=seed,
    seconds=times,
  )
  return times


def write_samples(
  path: pathlib.Path,
  generated: patch_generation.GeneratedPatches,
  model: TrainedModel,
) -> None:
  """Writes patches as .npz, whole or not at all."""
  buffer = io.BytesIO()
  np.savez(
    buffer,
    patches=generated.patches,
    level=generated.level,
    level_sizes=np.array(model.level_sizes),
  )
  files.write_atomically(path, buffer.getvalue())


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
