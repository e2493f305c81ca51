"""Makes new images from one image, without training or with a model of it.

  idiff-generate --image=photo.png --out=out/
  idiff-generate --image=photo.png --size=240x640 --mode=retarget --out=out/
  idiff-generate --image=texture.png --size=512x512 --tileable --out=out/
  idiff-generate --image=bark.png --structure=face.png --out=out/
  idiff-generate --image=photo.png --workdir=runs/cascade --out=out/

Writes sample_000.png and so on, each with its pyramid levels from coarse to
fine (_trace.png and _trace.gif) and a map of the sources of its pixels
(_source.png: the colour of each position in the image, and the sample in the
colours of its sources), index.html and report.json. With several images, each
has its own folder.
"""

import warnings
from typing import Any

import jax
import numpy as np
from absl import flags
from tqdm import tqdm

from internal_diffusion import figures
from internal_diffusion import options as options_lib
from internal_diffusion.applications.images import find_sources, generate
from internal_diffusion.applications.images.options import GenerateOptions
from internal_diffusion.applications.images.recipe import make_recipe
from internal_diffusion.applications.patches import PatchModel
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.training import model_files

_NAME = 'idiff-generate'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'image', 'out')
option_flags.define_path(
  _FLAGS,
  'workdir',
  None,
  'Folder of a model that idiff-train made of the image with'
  ' --config=configs/cascade.py. By default nothing is trained.',
)
common_flags.define(_FLAGS, 'seed', 'overwrite', 'scheduler')
option_flags.define(_FLAGS, GenerateOptions)


def main() -> None:
  """Reads, generates, writes."""
  options = option_flags.read(_FLAGS, GenerateOptions)
  model = None
  if _FLAGS.workdir is not None:
    model = model_files.load(_FLAGS.workdir, PatchModel)
  command.for_each_input(
    _FLAGS,
    lambda results: _generate(results, options, model),
    name=_NAME,
    settings={**options_lib.to_dict(options), 'workdir': _FLAGS.workdir},
    outputs=('input.png', 'sample_*.png', 'sample_*.gif'),
    also_read=[options.structure],
  )


def _generate(
  results: Results, options: GenerateOptions, model: PatchModel | None
) -> dict[str, Any]:
  (path,) = results.inputs
  image = image_io.read_image(path, channels=None, max_side=options.max_side)
  if np.ptp(image) < 1e-6:
    warnings.warn(
      f'`{path}` is constant, so its samples are too.', stacklevel=1
    )
  structure = None
  if options.structure is not None:
    structure = image_io.read_image(options.structure, channels=image.shape[-1])
  recipe = make_recipe(image, options, structure=structure, model=model)
  results.lap('setup')
  seconds = []
  for index in tqdm(range(options.num_samples), desc=path.name, unit='image'):
    levels = generate(
      jax.random.key(_FLAGS.seed + index),
      recipe.prior,
      size=recipe.size,
      start=recipe.start,
      constraints=options.constraints,
      num_steps=options.num_steps,
    )
    seconds.append(results.lap('run'))
    if not index:
      image_io.write_image(results.picture('input.png', 'input'), image)
    source = find_sources(recipe.prior, levels[0])
    _write_sample(
      results, f'sample_{index:03d}', levels, source, recipe.prior.size
    )
    if options.tileable:
      tiles = np.tile(levels[0], (2, 2, 1))
      image_io.write_image(results.path(f'sample_{index:03d}_2x2.png'), tiles)
    results.lap('write')
  results.summary = f'{len(seconds)} images'
  return {
    'seconds_per_sample': seconds,
    'size': list(recipe.size),
    'patch_size': recipe.prior.patch_size,
  }


def _write_sample(
  results: Results,
  name: str,
  levels: list[np.ndarray],
  source: np.ndarray,
  size: tuple[int, int],
) -> None:
  """Writes an image, its pyramid levels and the map of its sources."""
  image_io.write_image(results.picture(f'{name}.png', name), levels[0])
  frames = figures.level_frames(levels[::-1])
  trace = np.concatenate(frames, axis=1)
  image_io.write_image(results.path(f'{name}_trace.png'), trace)
  image_io.write_animation(results.path(f'{name}_trace.gif'), frames)
  image_io.write_image(
    results.path(f'{name}_source.png'), figures.source_map(source, size)
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
