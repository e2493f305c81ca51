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

from typing import Any

import jax
import ml_collections
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files
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
from internal_diffusion.bin.results import Results
from internal_diffusion.configs import upscale as presets
from internal_diffusion.data import blur_kernel, image_io, operators

_NAME = 'idiff-upscale'
_FLAGS = flags.FlagValues()
command.define_common(_FLAGS, 'image', 'out', 'workdir', 'seed', 'overwrite')
_FACTOR = flags.DEFINE_float(
  'factor',
  2.0,
  'How many times as high and wide, 1.1 to 8.',
  flag_values=_FLAGS,
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


def main() -> None:
  """Reads, learns, upscales, writes."""
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
  command.for_each_input(
    _FLAGS,
    lambda results: _upscale(results, kernel),
    name=_NAME,
    settings={
      'factor': _FACTOR.value,
      'preset': _PRESET.value,
      'denoiser': _DENOISER.value,
      'num_samples': 0 if _MEAN_ONLY.value else _NUM_SAMPLES.value,
      'kernel': _KERNEL.value,
      'workdir': _FLAGS.workdir,
    },
    outputs=('mean.png', 'sample_*.png', 'std.png', 'result.npz', 'model.npz'),
    also_read=[_KERNEL.value],
  )


def _config() -> ml_collections.ConfigDict:
  return presets.get_config(
    preset=_PRESET.value, minutes=_MINUTES.value, factor=_FACTOR.value
  )


def _upscale(results: Results, kernel: np.ndarray | None) -> dict[str, Any]:
  image, bit_depth = image_io.read_image_with_alpha(results.inputs[0])
  num_samples = 0 if _MEAN_ONLY.value else _NUM_SAMPLES.value
  config = _config()
  presets.set_seed(config, _FLAGS.seed)
  if not num_samples:
    config.rest.max_minutes = 0.0
  upscaler = _upscaler(image, results, config, kernel)
  results.lap('setup')
  made = super_resolution.upscale(
    jax.random.key(_FLAGS.seed),
    upscaler,
    image,
    factor=_FACTOR.value,
    num_samples=num_samples,
    progress=True,
  )
  uncertainty = None
  if made.samples is not None:
    uncertainty = uncertainty_of(made.mean, made.samples)
  _write(results, made, uncertainty, bit_depth)
  height, width = made.mean.shape[:2]
  results.summary = f'{height}x{width} pixels'
  return {
    'size': [height, width],
    'mean_std_grey_levels': (
      None if uncertainty is None else 127.5 * float(uncertainty.std.mean())
    ),
  }


def _upscaler(
  image: np.ndarray,
  results: Results,
  config: ml_collections.ConfigDict,
  kernel: np.ndarray | None,
) -> Upscaler:
  if _FLAGS.workdir:
    return upscaler_files.load_upscaler(_FLAGS.workdir)
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
  results.path('model.npz')
  upscaler_files.save_upscaler(results.directory, upscaler, config)
  return upscaler


def _write(
  results: Results,
  made: Upscaled,
  uncertainty: Uncertainty | None,
  bit_depth: int,
) -> None:
  path = results.picture('mean.png', 'Mean.')
  image_io.write_image(path, made.mean, bit_depth=bit_depth)
  contents = {'mean': made.mean}
  if made.samples is not None and uncertainty is not None:
    for index, sample in enumerate(made.samples):
      path = results.picture(f'sample_{index:03d}.png', f'Sample {index}.')
      image_io.write_image(path, sample, bit_depth=bit_depth)
    contents |= {'samples': made.samples, **uncertainty._asdict()}
  files.write_npz(results.path('result.npz'), contents)
  if uncertainty is not None:
    std = 127.5 * _colours(uncertainty.std).mean(axis=-1)
    figures.write_or_warn(
      results.picture('std.png', 'Standard deviation.'),
      figures.heat_maps,
      {'standard deviation': std},
      title='Uncertainty of the upscaled image',
      label='grey levels of 255',
      image=_colours(made.mean),
    )


def _colours(image: np.ndarray) -> np.ndarray:
  """The channels [H, W, 1 or 3] of an image without its alpha, if any."""
  return image[..., :3] if image.shape[-1] > 2 else image[..., :1]


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
