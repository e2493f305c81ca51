"""Edits a picture with its own patches; nothing is trained.

  idiff-edit --mode=fill --image=photo.png --mask=hole.png --out=out/
  idiff-edit --mode=remove --image=photo.png --mask=wire.png --out=out/
  idiff-edit --mode=extend --image=photo.png --expand=0,80,0,80 --out=out/
  idiff-edit --mode=paint --image=photo.png --guide=painting.png --out=out/
  idiff-edit --mode=harmonize --image=pasted.png --mask=object.png --out=out/
  idiff-edit --mode=reference --image=photo.png --guide=other.png --out=out/
  idiff-edit --mode=rearrange --image=photo.png --mask=bird.png --move=-20,35
  idiff-edit --mode=vary --image=photo.png --strength=0.3 --out=out/
  idiff-edit --mode=interpolate --image=photo.png --guide=other.png --out=out/

White of a mask is what changes; it may have any size and any mode, and for
harmonize soft edges, grey where a pixel holds both. Where a
picture has transparent pixels, fill and remove need no mask. --guide is the
painting, the reference, the last picture of a path, or, for harmonize, the
picture without the object, instead of a mask.

Writes sample_000.png and so on, in the mode and depth of the input;
comparison.png, what was given beside the answers; where there are several,
difference.png, the standard deviation between them; sample_000_trace.png and
.gif, the pyramid levels of an answer, or path.gif, the frames of interpolate;
index.html and report.json. EXIF, colour profile and DPI are kept.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import figures
from internal_diffusion import options as options_lib
from internal_diffusion.applications.editing import (
  Edited,
  EditOptions,
  Mode,
  edit,
)
from internal_diffusion.applications.editing.remove import grow_mask
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io, masks, metadata

_NAME = 'idiff-edit'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'image', 'out', 'seed', 'overwrite', 'scheduler')
_FILES = {
  'mask': 'Picture of what changes, which is white.',
  'guide': (
    'Painting, reference, last picture, or picture without the object, by the'
    ' mode.'
  ),
}
for _name, _text in _FILES.items():
  option_flags.define_path(_FLAGS, _name, None, _text)
option_flags.define(_FLAGS, EditOptions)
_OUTPUTS = (
  'input.png',
  'mask.png',
  'guide.png',
  'sample_*.png',
  'sample_*.gif',
  'path.gif',
  'difference.png',
  'comparison.png',
)


def main() -> None:
  """Reads, edits and writes each image."""
  options = option_flags.read(_FLAGS, EditOptions)
  given = {name: _FLAGS[name].value for name in _FILES}
  command.for_each_input(
    _FLAGS,
    lambda results: _edit_to(results, options, given),
    name=_NAME,
    settings=options_lib.to_dict(options),
    outputs=_OUTPUTS,
    also_read=list(given.values()),
  )


def _edit_to(
  results: Results, options: EditOptions, given: Mapping[str, str | None]
) -> dict[str, Any]:
  path = results.inputs[0]
  image, bit_depth = image_io.read_image_with_alpha(path)
  mask, guide = None, None
  if given['mask']:
    mask = _read_mask(given['mask'], image.shape[:2], options)
  if given['guide']:
    guide, _ = image_io.read_image_with_alpha(given['guide'])
  results.lap('setup')
  edited = edit(
    jax.random.key(_FLAGS.seed), image, options, mask=mask, guide=guide
  )
  results.lap('run')
  if mask is not None and options.mode is Mode.REMOVE:
    mask = grow_mask(mask, edited.found['grow'])
  _write(results, options, edited, image, bit_depth, mask, guide)
  num = len(edited.samples)
  pictures = 'picture' if num == 1 else 'pictures'
  results.summary = f'{path.name}: {options.mode}, {num} {pictures}'
  return {
    'found': edited.found,
    'size': list(edited.samples.shape[1:3]),
    'std_grey_levels': 127.5 * float(np.sqrt(np.mean(edited.std**2))),
  }


def _read_mask(
  path: str, size: tuple[int, int], options: EditOptions
) -> np.ndarray:
  """What changes, [H, W] bool; for harmonize, its share in [0, 1]."""
  is_soft = options.mode is Mode.HARMONIZE
  read = masks.read_soft_mask if is_soft else masks.read_mask
  try:
    mask = read(path, size)
  except masks.UniformMaskError as error:
    advice = 'white where the picture changes and black elsewhere'
    other = ', or the reverse with `invert_mask`'
    if options.invert_mask:
      advice = 'black where the picture changes and white elsewhere'
      other = ', or the reverse without `invert_mask`'
    raise ValueError(
      f'`mask` is {error.colour} everywhere; it must be {advice}{other}.'
    ) from error
  if not options.invert_mask:
    return mask
  return 1 - mask if is_soft else ~mask


def _write(
  results: Results,
  options: EditOptions,
  edited: Edited,
  image: np.ndarray,
  bit_depth: int,
  mask: np.ndarray | None,
  guide: np.ndarray | None,
) -> None:
  """Writes pictures, traces and figures."""
  kept = metadata.read_metadata(results.inputs[0])
  pictures = {'input.png': ('Input.', image)}
  for index, sample in enumerate(edited.samples):
    pictures[f'sample_{index:03d}.png'] = (f'Answer {index}.', sample)
  for name, (caption, picture) in pictures.items():
    image_io.write_image(
      results.picture(name, caption),
      picture,
      bit_depth=bit_depth,
      metadata=kept,
    )
  if mask is not None:
    image_io.write_image(
      results.picture('mask.png', 'What changes.'),
      2.0 * mask[..., None] - 1,
    )
  if guide is not None:
    image_io.write_image(results.picture('guide.png', 'Guide.'), guide)
  if options.mode is Mode.INTERPOLATE:
    frames = [*edited.samples, *edited.samples[-2:0:-1]]
    image_io.write_animation(
      results.picture('path.gif', 'There and back.'), frames, seconds=0.25
    )
  for index, levels in enumerate(edited.traces):
    _write_trace(results, index, levels)
  _write_figures(results, options, edited, image, mask, guide)


def _write_trace(results: Results, index: int, levels: Any) -> None:
  """Writes the pyramid levels of an answer, coarse to fine."""
  frames = figures.level_frames(levels[::-1])
  name = f'sample_{index:03d}_trace'
  image_io.write_image(
    results.path(f'{name}.png'), np.concatenate(frames, axis=1)
  )
  image_io.write_animation(results.path(f'{name}.gif'), frames)


def _write_figures(
  results: Results,
  options: EditOptions,
  edited: Edited,
  image: np.ndarray,
  mask: np.ndarray | None,
  guide: np.ndarray | None,
) -> None:
  std = image_io.without_alpha(edited.std)
  samples = [image_io.without_alpha(sample) for sample in edited.samples]
  if len(samples) > 1:
    figures.write_or_warn(
      results.picture('difference.png', 'Where the answers differ.'),
      figures.heat_maps,
      {'standard deviation': 127.5 * std.mean(axis=-1)},
      title='Differences between the answers',
      label='grey levels of 255',
      image=samples[0],
    )
  figures.write_or_warn(
    results.picture('comparison.png', 'What was given, and the answers.'),
    figures.editing_figure,
    image_io.without_alpha(image),
    samples,
    std,
    mask=None if mask is None else mask > 0.5,
    guide=None if guide is None else image_io.without_alpha(guide),
    title=f'{results.inputs[0].name}: {options.mode}',
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
