"""Restores a damaged picture from that picture alone.

  idiff-restore --image=noisy.png --out=out/
  idiff-restore --image=holes.png --mask=mask.png --out=out/
  idiff-restore --image=blurred.png --kernel=blur.npy --out=out/
  idiff-restore --image=photo.jpg --task=jpeg --out=out/
  idiff-restore --image=grey.png --scribbles=marked.png --out=out/

Without --task, it looks at the picture and at what is given with it, and says
what it does. An image may also be a .npy file of floats [H, W] or [H, W, C] in
units of [0, 1], where values beyond are noise that nobody clipped.

Writes mean.png, the estimate of least error, in the mode and depth of the
input; sample_000.png and so on, each one picture that may be the clean one;
std.png, the standard deviation of the mean's error; comparison.png, before and
after; kernel.npy and kernel.png, where a kernel was estimated; result.npz with
mean, std, low and high [H, W, C] in [-1, 1], where low and high are the ends of
the 90% interval, and samples [K, H, W, C]; index.html and report.json. EXIF,
colour profile, DPI and transparency are kept. Several images are restored one
by one, each into a folder of its own.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import figures, files
from internal_diffusion import options as options_lib
from internal_diffusion.applications.restoration import (
  Restored,
  RestoreOptions,
  Task,
  choose_task,
  restore,
)
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import (
  array_io,
  blur_kernel,
  image_io,
  masks,
  metadata,
)
from internal_diffusion.data.jpeg import read_jpeg_cells

_NAME = 'idiff-restore'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'image', 'out', 'seed', 'overwrite', 'scheduler')
option_flags.define(_FLAGS, RestoreOptions, skip=('seed',))
_FILES = {
  'mask': 'Picture of the missing pixels, which are white, for inpaint.',
  'kernel': (
    'Blur kernel [k, l] with odd sides, a .npy or .mat file, for deblur; it is'
    ' estimated if it is left out.'
  ),
  'scribbles': 'The picture with marks of colour on it, for colorize.',
  'reference': 'Colour picture of the same scene, for colorize.',
}
for _name, _text in _FILES.items():
  option_flags.define_path(_FLAGS, _name, None, _text)
_JPEG_START = b'\xff\xd8\xff'
_OUTPUTS = (
  'input.png',
  'mean.png',
  'sample_*.png',
  'std.png',
  'kernel.npy',
  'kernel.png',
  'comparison.png',
  'result.npz',
)


def main() -> None:
  """Reads, restores and writes each image."""
  options = option_flags.read(_FLAGS, RestoreOptions, seed=_FLAGS.seed)
  given = {name: _FLAGS[name].value for name in _FILES}
  command.for_each_input(
    _FLAGS,
    lambda results: _restore_to(results, options, given),
    name=_NAME,
    settings=options_lib.to_dict(options),
    outputs=_OUTPUTS,
    also_read=list(given.values()),
    other_endings=(array_io.EXTENSION,),
  )


def _restore_to(
  results: Results,
  options: RestoreOptions,
  given: Mapping[str, str | None],
) -> dict[str, Any]:
  path = results.inputs[0]
  image, bit_depth = _read_picture(path)
  also: dict[str, Any] = _read_given(given, image.shape[:2])
  if _wants_jpeg(path, options, also):
    also['jpeg'] = read_jpeg_cells(path)
  chosen = choose_task(image, options, **also)
  if chosen.message:
    print(f'{_NAME}: {path.name}: {chosen.message}', flush=True)
  results.lap('setup')
  restored = restore(
    jax.random.key(options.seed), image, chosen.options, **also, progress=True
  )
  results.lap('run')
  # Missing pixels that are NaN are shown in black.
  shown = np.nan_to_num(image, nan=-1.0)
  _write(results, restored, shown, bit_depth)
  results.summary = f'{path.name}: {_sentence(restored)},'
  return {
    'found': {
      **restored.found,
      'reasons': [*chosen.reasons, *restored.found['reasons']],
    },
    'size': list(image.shape[:2]),
    'std_grey_levels': _mean_std(restored),
  }


def _read_picture(path: pathlib.Path) -> tuple[np.ndarray, int]:
  """A picture [H, W, 1 to 4] and its bits a channel; floats count as 16."""
  if path.suffix.lower() == array_io.EXTENSION:
    return array_io.read_array(path), 16
  return image_io.read_image_with_alpha(path)


def _wants_jpeg(
  path: pathlib.Path, options: RestoreOptions, given: Mapping[str, Any]
) -> bool:
  """Whether the cells of a JPEG file are needed, and it is one."""
  is_open = options.task is Task.AUTO and not given
  if not (is_open or options.task is Task.JPEG) or options.quality:
    return False
  with open(path, 'rb') as file:
    return file.read(len(_JPEG_START)) == _JPEG_START


def _read_given(
  paths: Mapping[str, str | None], size: tuple[int, int]
) -> dict[str, np.ndarray]:
  """The arguments of `restore` that come from files of their own."""
  found: dict[str, np.ndarray] = {}
  if paths['mask']:
    found['mask'] = masks.read_mask(paths['mask'], size)
  if paths['kernel']:
    found['kernel'] = blur_kernel.read_kernel(paths['kernel'])
  if paths['scribbles']:
    found['scribbles'], _ = image_io.read_image_with_alpha(paths['scribbles'])
  if paths['reference']:
    found['reference'] = image_io.read_image(paths['reference'])
  return found


def _write(
  results: Results, restored: Restored, image: np.ndarray, bit_depth: int
) -> None:
  """Writes arrays, pictures and figures."""
  kept = metadata.read_metadata(results.inputs[0])
  arrays = restored._asdict()
  del arrays['found']
  files.write_npz(results.path('result.npz'), arrays)
  pictures = {
    'input.png': ('Input.', image),
    'mean.png': ('Mean.', restored.mean),
  }
  for index, sample in enumerate(restored.samples):
    pictures[f'sample_{index:03d}.png'] = (f'Sample {index}.', sample)
  for name, (caption, picture) in pictures.items():
    image_io.write_image(
      results.picture(name, caption),
      picture,
      bit_depth=bit_depth,
      metadata=kept,
    )
  if 'kernel' in restored.found:
    kernel = np.asarray(restored.found['kernel'], np.float32)
    files.write_npy(results.path('kernel.npy'), kernel)
    image_io.write_image(
      results.picture('kernel.png', 'The kernel that was estimated.'),
      2 * kernel[..., None] / kernel.max() - 1,
    )
  std, mean = (
    image_io.without_alpha(restored.std),
    image_io.without_alpha(restored.mean),
  )
  figures.write_or_warn(
    results.picture('std.png', 'Standard deviation of the error of the mean.'),
    figures.heat_maps,
    {'standard deviation': 127.5 * std.mean(axis=-1)},
    title='Uncertainty of the restored picture',
    label='grey levels of 255',
    image=mean,
  )
  samples = [image_io.without_alpha(sample) for sample in restored.samples[:1]]
  figures.write_or_warn(
    results.picture('comparison.png', 'Before, after, and a detail of it.'),
    figures.restoration_figure,
    image_io.without_alpha(image),
    mean,
    std,
    sample=samples[0] if samples else None,
    title=f'{results.inputs[0].name}: {_sentence(restored)}',
  )


def _sentence(restored: Restored) -> str:
  """What was done, and what the task found, in one line."""
  found = restored.found
  done = {
    Task.DENOISE: 'noise removed',
    Task.DEBLUR: 'blur removed',
    Task.JPEG: 'JPEG compression undone',
    Task.INPAINT: 'missing pixels filled in',
    Task.COLORIZE: 'colour added',
  }[Task(found['task'])]
  details = list(found['reasons'])
  is_said = any('noise' in reason for reason in details)
  if found.get('sigma') is not None and not is_said:
    details.append(f'noise of {found["sigma"]:.3g} grey levels')
  details.append(
    f'standard deviation of {_mean_std(restored):.2g} grey levels now'
  )
  return f'{done} ({"; ".join(details)})'


def _mean_std(restored: Restored) -> float:
  """Root mean square of the standard deviation, in grey levels of 255."""
  return 127.5 * float(
    np.sqrt(np.mean(image_io.without_alpha(restored.std) ** 2))
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
