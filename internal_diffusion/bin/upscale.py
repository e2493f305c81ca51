"""Upscales an image with a model learned from the image itself.

  idiff-upscale --image=small.png --factor=2 --out=out/

Writes mean.png, the estimate of least error; sample_000.png and so on, each
sharper than the mean and one of many images that become the input when
downscaled; std.png, a plot of the standard deviation of the mean's error;
result.npz with all of it
(mean [H, W, C], samples [K, H, W, C], std [H, W, C], and low and high, the ends
of the 90% interval), in [-1, 1]; index.html and report.json. Ctrl-C stops a
training with --workdir, and the same command continues it. Several images are
upscaled one by one, each into a folder of its own.
"""

import pathlib
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import figures, files
from internal_diffusion import options as options_lib
from internal_diffusion.applications.super_resolution import (
  UpscaleOptions,
  estimate_uncertainty,
  learn_upscaler,
  upscale,
)
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import blur_kernel, image_io, metadata
from internal_diffusion.training import model_files

_NAME = 'idiff-upscale'
_FLAGS = flags.FlagValues()
common_flags.define(
  _FLAGS, 'image', 'out', 'workdir', 'seed', 'overwrite', 'scheduler'
)
option_flags.define(_FLAGS, UpscaleOptions, skip=('seed',))
option_flags.define_path(
  _FLAGS,
  'kernel',
  None,
  'Blur kernel [k, k] of the degradation at the output resolution, a .npy or'
  ' .mat file, for whole factors; antialiased bicubic downscaling if it is left'
  ' out.',
)
_OUTPUTS = ('input.png', 'mean.png', 'sample_*.png', 'std.png', 'result.npz')


def main() -> None:
  """Reads, learns, upscales and writes each image."""
  options = option_flags.read(_FLAGS, UpscaleOptions, seed=_FLAGS.seed)
  kernel = None
  if _FLAGS.kernel:
    kernel = blur_kernel.read_kernel(_FLAGS.kernel)
  try:
    command.for_each_input(
      _FLAGS,
      lambda results: _upscale_to(results, options, kernel),
      name=_NAME,
      settings={**options_lib.to_dict(options), 'workdir': _FLAGS.workdir},
      outputs=_OUTPUTS,
      also_read=[_FLAGS.kernel],
    )
  except KeyboardInterrupt as stopped:
    if not stopped.args:
      raise
    print(f'{_NAME}: {stopped}')


def _upscale_to(
  results: Results, options: UpscaleOptions, kernel: np.ndarray | None
) -> dict[str, Any]:
  image, bit_depth = image_io.read_image_with_alpha(results.inputs[0])
  kept = metadata.read_metadata(results.inputs[0])
  workdir = _FLAGS.workdir
  if workdir is not None and not model_files.has_model(workdir):
    # Of several images, each has a model of its own.
    workdir = pathlib.Path(workdir) / results.directory.relative_to(_FLAGS.out)
  upscaler = learn_upscaler(
    image, options, kernel=kernel, workdir=workdir, progress=True
  )
  results.lap('setup')
  found = upscale(
    jax.random.key(options.seed),
    upscaler,
    image,
    factor=options.factor,
    num_samples=0 if options.mean_only else options.num_samples,
    num_steps=options.sampler_steps,
    progress=True,
  )
  results.lap('run')
  contents = found._asdict()
  std = None
  if not options.mean_only:
    uncertainty = estimate_uncertainty(found.mean, found.samples)
    contents |= uncertainty._asdict()
    std = 127.5 * _colours(uncertainty.std).mean(axis=-1)
  files.write_npz(results.path('result.npz'), contents)
  pictures = {'input.png': ('Input.', image), 'mean.png': ('Mean.', found.mean)}
  for index, sample in enumerate(found.samples):
    pictures[f'sample_{index:03d}.png'] = (f'Sample {index}.', sample)
  for name, (caption, picture) in pictures.items():
    path = results.picture(name, caption)
    image_io.write_image(path, picture, bit_depth=bit_depth, metadata=kept)
  if std is not None:
    figures.write_or_warn(
      results.picture(
        'std.png', 'Standard deviation of the error of the mean.'
      ),
      figures.heat_maps,
      {'standard deviation': std},
      title='Uncertainty of the upscaled image',
      label='grey levels of 255',
      image=_colours(found.mean),
    )
  height, width = found.mean.shape[:2]
  results.summary = f'{results.inputs[0].name} is {height}x{width} now,'
  return {
    'size': [height, width],
    'mean_std_grey_levels': None if std is None else float(std.mean()),
  }


def _colours(image: np.ndarray) -> np.ndarray:
  """The channels [H, W, 1 or 3] of an image without its alpha, if any."""
  return image[..., :3] if image.shape[-1] > 2 else image[..., :1]


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
