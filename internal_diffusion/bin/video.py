"""Makes new frames and new clips from one clip; nothing is trained.

  idiff-video --task=interpolate --clip=frames/ --factor=4 --out=out/
  idiff-video --task=interpolate --clip=film.mp4 --at=8 --out=out/
  idiff-video --task=predict --clip=clip.gif --num_frames=8 --out=out/
  idiff-video --task=fill --clip=frames/ --mask=masks/ --out=out/
  idiff-video --task=upscale --clip=frames/ --factor=2 --out=out/
  idiff-video --task=generate --clip=frames/ --num_frames=48 --loop --out=out/

A clip is a folder of pictures, a GIF, WebP or PNG animation, or a film such as
MP4, which needs pip install 'internal-diffusion[video]'. --mask is a picture
for all frames, or a folder with one for each; white is what is filled.

Writes the frames of least expected error: mean.png where it is one, else
mean/000.png and so on, mean.gif and, with ffmpeg, mean.mp4; each sample the
same way as sample_000 and so on; result.npz with mean [N, H, W, C] in [-1, 1]
and std [N, H, W]; uncertainty.png, maps of the standard deviation; strip.png,
frames that were made, side by side; report.json and index.html. `generate` has
samples only, in result.npz as samples [K, N, H, W, C].
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import figures, files
from internal_diffusion import options as options_lib
from internal_diffusion.applications.video import (
  Filmed,
  Task,
  VideoOptions,
  film,
)
from internal_diffusion.bin import command, common_flags, inputs, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import clip_io, image_io, masks
from internal_diffusion.data.clip_coding import has_ffmpeg

_NAME = 'idiff-video'
_FLAGS = flags.FlagValues()
_CLIP_HELP = 'Folder of frames, GIF, WebP or PNG animation, or film.'
_MASK_HELP = 'What is filled, white: a picture, or a folder of one a frame.'
option_flags.define_path(_FLAGS, 'clip', None, _CLIP_HELP)
common_flags.define(_FLAGS, 'out', 'seed', 'overwrite')
option_flags.define_path(_FLAGS, 'mask', None, _MASK_HELP)
option_flags.define(_FLAGS, VideoOptions)
_OUTPUTS = (
  'mean*',
  'sample_*',
  'result.npz',
  'strip.png',
  'uncertainty.png',
)
_MOST_IN_STRIP = 8


def main() -> None:
  """Reads a clip, does the task and writes the results."""
  command.require(clip=_FLAGS.clip)
  options = option_flags.read(_FLAGS, VideoOptions)
  _check_out()
  clip = clip_io.read_clip(_FLAGS.clip, last=options.last)
  if options.rate is not None:
    clip = clip_io.Clip(clip.pixels, options.rate)
  mask_paths = inputs.find_pictures([_FLAGS.mask]) if _FLAGS.mask else []
  mask = _read_masks(mask_paths, clip)
  path = pathlib.Path(_FLAGS.clip)
  read = inputs.find_pictures([str(path)]) if path.is_dir() else [path]
  command.for_each_input(
    _FLAGS,
    lambda results: _film_to(results, options, clip, mask),
    name=_NAME,
    settings=options_lib.to_dict(options),
    outputs=_OUTPUTS,
    given={path.stem or path.name: read},
    also_read=list(mask_paths),
  )


def _check_out() -> None:
  """Raises ValueError if the results would be among the frames or masks."""
  out = pathlib.Path(_FLAGS.out or '').resolve()
  for name in ('clip', 'mask'):
    given = getattr(_FLAGS, name)
    if given and out.is_dir() and out == pathlib.Path(given).resolve():
      raise ValueError(
        f'`out` must be another folder than that of `{name}`, got {given}.'
      )


def _read_masks(
  paths: Sequence[pathlib.Path], clip: clip_io.Clip
) -> np.ndarray | None:
  if not paths:
    return None
  if not pathlib.Path(_FLAGS.mask).is_dir():
    return masks.read_mask(paths[0], clip.size)
  if len(paths) != len(clip):
    raise ValueError(
      f'`mask` must be a folder of one mask for each of the {len(clip)} frames,'
      f' got {len(paths)}.'
    )
  return masks.read_masks(paths, clip.size)


def _film_to(
  results: Results,
  options: VideoOptions,
  clip: clip_io.Clip,
  mask: np.ndarray | None,
) -> dict[str, Any]:
  results.lap('setup')
  filmed = film(
    jax.random.key(_FLAGS.seed), clip, options, mask=mask, progress=True
  )
  results.lap('run')
  if options.task is not Task.GENERATE:
    _write_frames(results, 'mean', filmed.mean, filmed.rate, 'The mean')
  for index, sample in enumerate(filmed.samples):
    _write_frames(
      results, f'sample_{index:03d}', sample, filmed.rate, f'Sample {index}'
    )
  arrays = {'mean': filmed.mean, 'std': filmed.std}
  if options.task is Task.GENERATE:
    arrays = {'samples': filmed.samples}
  files.write_npz(results.path('result.npz'), arrays)
  _write_figures(results, options, filmed)
  num = len(filmed.mean)
  results.title = f'{_NAME}: {options.task} of {pathlib.Path(_FLAGS.clip).name}'
  results.summary = f'{options.task}: {num} frames'
  found = {
    **filmed.found,
    'num_frames': num,
    'size': list(filmed.mean.shape[1:3]),
    'rate': filmed.rate,
  }
  if options.task is not Task.GENERATE:
    std = filmed.std[_made(filmed)]
    found['std_grey_levels'] = 127.5 * float(np.sqrt(np.mean(std**2)))
  return found


def _made(filmed: Filmed) -> np.ndarray:
  """Numbers of the frames that were made, not given; all if there is none."""
  is_made = filmed.std.any(axis=(1, 2))
  return np.flatnonzero(is_made if is_made.any() else ~is_made)


def _write_frames(
  results: Results, name: str, frames: np.ndarray, rate: float, caption: str
) -> None:
  """Writes frames [N, H, W, C] as pictures, GIF and film."""
  if len(frames) == 1:
    picture = results.picture(f'{name}.png', f'{caption}.')
    image_io.write_image(picture, frames[0])
    return
  for index, frame in enumerate(frames):
    image_io.write_image(results.path(f'{name}/{index:03d}.png'), frame)
  animation = results.picture(f'{name}.gif', f'{caption}.')
  clip_io.write_gif(animation, frames, rate=rate)
  if has_ffmpeg():
    clip_io.write_mp4(results.path(f'{name}.mp4'), frames, rate=rate)


def _write_figures(
  results: Results, options: VideoOptions, filmed: Filmed
) -> None:
  """Writes the strip of frames and the map of uncertainty."""
  made = _made(filmed)
  num_shown = min(len(made), _MOST_IN_STRIP)
  shown = made[np.linspace(0, len(made) - 1, num_shown).round().astype(int)]
  caption = 'Frames that were made: the mean, then samples.'
  if options.task is Task.GENERATE:
    caption = 'Frames of the new clips, one clip a row.'
  rows = [] if options.task is Task.GENERATE else [filmed.mean[shown]]
  rows += [sample[shown] for sample in filmed.samples[:3]]
  image_io.write_grid(
    results.picture('strip.png', caption),
    np.concatenate(rows),
    num_columns=len(shown),
  )
  if options.task is Task.GENERATE:
    return
  uncertain = shown[np.argsort(filmed.std[shown].mean(axis=(1, 2)))[-3:]]
  figures.write_or_warn(
    results.picture('uncertainty.png', 'Uncertainty of the mean.'),
    figures.heat_maps,
    {f'frame {i}': 127.5 * filmed.std[i] for i in np.sort(uncertain)},
    title='Standard deviation of the error',
    label='grey levels of 255',
    image=filmed.mean[int(np.sort(uncertain)[0])],
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
