"""Makes an image larger, having learnt how from the image itself.

  idiff-upscale --image=small.png --factor=2 --out=out/

Writes mean.png, the estimate of least error; sample_000.png and so on, each as
sharp as the truth and one of many that would become the given image when made
smaller; std.png, a map of how far the mean may be from the truth; result.npz
with all of it (mean [H, W, C], samples [K, H, W, C], std [H, W, C], low and
high ends of an interval of 90%), values from -1 to 1; model.npz, what was
learnt, for --workdir; and report.json. A folder or several images are done one
by one, each in a folder of its own.
"""

import pathlib
import time

import jax
import ml_collections
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files, report
from internal_diffusion.applications import (
  super_resolution,
  upscaler_files,
  upscaler_training,
)
from internal_diffusion.applications.super_resolution import Upscaled
from internal_diffusion.applications.upscaled_uncertainty import (
  Uncertainty,
  uncertainty_of,
)
from internal_diffusion.applications.upscaler import Upscaler
from internal_diffusion.bin import command
from internal_diffusion.configs import upscale as presets
from internal_diffusion.data import blur_kernel, image_io, operators

_NAME = 'idiff-upscale'
_FLAGS = flags.FlagValues()
_IMAGE = flags.DEFINE_list(
  'image',
  [],
  'Images or folders of images, with commas between; may hold * and ?, then in'
  ' quotes.',
  flag_values=_FLAGS,
)
_FACTOR = flags.DEFINE_float(
  'factor',
  2.0,
  'How many times as high and wide, 1.1 to 8.',
  flag_values=_FLAGS,
)
_OUT = flags.DEFINE_string(
  'out', 'out', 'Folder to write to.', flag_values=_FLAGS
)
_PRESET = flags.DEFINE_string(
  'preset',
  'default',
  'How long to learn: `fast`, `default` or `best`; see configs/upscale.py.',
  flag_values=_FLAGS,
)
_DENOISER = flags.DEFINE_string(
  'denoiser',
  'learned',
  '`learned`, or `closed_form`: kernel regression, without training.',
  flag_values=_FLAGS,
)
_MINUTES = flags.DEFINE_float(
  'minutes',
  None,
  "Minutes to learn, instead of the preset's.",
  flag_values=_FLAGS,
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 8, 'How many samples, at least 2.', flag_values=_FLAGS
)
_MEAN_ONLY = flags.DEFINE_boolean(
  'mean_only', False, 'Leave samples and uncertainty out.', flag_values=_FLAGS
)
_KERNEL = flags.DEFINE_string(
  'kernel',
  '',
  'Blur that the image went through, a .npy or .mat file [k, k] on the large'
  ' grid; antialiased bicubic downscaling if left out. Needs the factor 2, 3 or'
  ' 4.',
  flag_values=_FLAGS,
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  '',
  'Output folder of an earlier run, whose model.npz is used instead of'
  ' learning.',
  flag_values=_FLAGS,
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of everything random.', flag_values=_FLAGS
)


def main() -> None:
  """Reads, learns, upscales, writes."""
  command.require(image=_IMAGE.value, out=_OUT.value)
  command.check_seed(_SEED.value)
  arrays.check_in_range('factor', _FACTOR.value, *operators.FACTORS)
  if not _MEAN_ONLY.value and _NUM_SAMPLES.value < 2:
    raise ValueError(
      '--num_samples must be at least 2, as an uncertainty needs two, got'
      f' {_NUM_SAMPLES.value}; --mean_only does without.'
    )
  if _DENOISER.value not in ('learned', 'closed_form'):
    raise ValueError(
      f'--denoiser must be `learned` or `closed_form`, got {_DENOISER.value!r}.'
    )
  _config()  # Says what is wrong with its flags.
  kernel = blur_kernel.read_kernel(_KERNEL.value) if _KERNEL.value else None
  if kernel is not None and _FACTOR.value not in (2, 3, 4):
    raise ValueError(
      f'--kernel needs the --factor 2, 3 or 4, got {_FACTOR.value:g}.'
    )
  paths = command.find_pictures(_IMAGE.value)
  directory = command.output_dir(_OUT.value)
  for path in paths:
    own = directory / path.stem if len(paths) > 1 else directory
    _upscale(path, command.output_dir(str(own)), kernel)


def _config() -> ml_collections.ConfigDict:
  return presets.get_config(
    preset=_PRESET.value, minutes=_MINUTES.value, factor=_FACTOR.value
  )


def _upscale(
  path: pathlib.Path, directory: pathlib.Path, kernel: np.ndarray | None
) -> None:
  start = time.monotonic()
  image, bit_depth = image_io.read_image_with_alpha(path)
  num_samples = 0 if _MEAN_ONLY.value else _NUM_SAMPLES.value
  config = _config()
  presets.set_seed(config, _SEED.value)
  if not num_samples:
    config.rest.max_minutes = 0.0
  upscaler = _upscaler(image, directory, config, kernel)
  trained = time.monotonic()
  made = super_resolution.upscale(
    jax.random.key(_SEED.value),
    upscaler,
    image,
    factor=_FACTOR.value,
    num_samples=num_samples,
    progress=True,
  )
  upscaled = time.monotonic()
  uncertainty = None
  if made.samples is not None:
    uncertainty = uncertainty_of(made.mean, made.samples)
  _write(directory, made, uncertainty, bit_depth)
  report.write_report(
    directory,
    figures={
      'size': list(made.mean.shape[:2]),
      'mean_std_grey_levels': (
        None if uncertainty is None else 127.5 * float(uncertainty.std.mean())
      ),
    },
    settings={
      'image': str(path),
      'factor': _FACTOR.value,
      'preset': _PRESET.value,
      'denoiser': _DENOISER.value,
      'num_samples': num_samples,
      'kernel': _KERNEL.value,
      'workdir': _WORKDIR.value,
    },
    seed=_SEED.value,
    seconds={'setup': trained - start, 'run': upscaled - trained},
  )
  height, width = made.mean.shape[:2]
  print(f'{_NAME}: {path.name} is {height}x{width} now, in {directory}')


def _upscaler(
  image: np.ndarray,
  directory: pathlib.Path,
  config: ml_collections.ConfigDict,
  kernel: np.ndarray | None,
) -> Upscaler:
  if _WORKDIR.value:
    return upscaler_files.load_upscaler(_WORKDIR.value)
  factor = 2 if kernel is None else int(_FACTOR.value)
  if _DENOISER.value == 'closed_form':
    return upscaler_training.closed_form_upscaler(
      image, config, kernel=kernel, factor=factor
    )
  upscaler = upscaler_training.train_upscaler(
    image,
    config,
    kernel=kernel,
    factor=factor,
    progress=True,
  )
  upscaler_files.save_upscaler(directory, upscaler, config)
  return upscaler


def _write(
  directory: pathlib.Path,
  made: Upscaled,
  uncertainty: Uncertainty | None,
  bit_depth: int,
) -> None:
  image_io.write_image(directory / 'mean.png', made.mean, bit_depth=bit_depth)
  contents = {'mean': made.mean}
  if made.samples is not None and uncertainty is not None:
    for index, sample in enumerate(made.samples):
      name = f'sample_{index:03d}.png'
      image_io.write_image(directory / name, sample, bit_depth=bit_depth)
    contents |= {'samples': made.samples, **uncertainty._asdict()}
    figures.write_heat_maps(
      directory / 'std.png',
      {'standard deviation': _colours(uncertainty.std).mean(axis=-1)},
      title='How far the mean may be from the truth',
      image=_colours(made.mean),
    )
  files.write_npz(directory / 'result.npz', contents)


def _colours(image: np.ndarray) -> np.ndarray:
  """The channels [H, W, 1 or 3] of an image without its alpha, if any."""
  return image[..., :3] if image.shape[-1] > 2 else image[..., :1]


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
