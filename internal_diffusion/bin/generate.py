"""Makes new images from one photograph, without training or with a model of it.

  idiff-generate --image=photo.png --out=out/
  idiff-generate --image=photo.png --size=240x640 --mode=retarget --out=out/
  idiff-generate --image=texture.png --size=512x512 --tileable --out=out/
  idiff-generate --image=bark.png --structure=face.png --out=out/
  idiff-generate --image=photo.png --workdir=runs/cascade --out=out/

Writes sample_000.png and so on, each with its coarse-to-fine trace (_trace.png
and _trace.gif) and a map of where in the photograph its pixels are from
(_source.png: the photograph in false colours, and the sample in those of the
places it is from), and report.json. Of several images each has a folder of its
own.
"""

import pathlib
import time
import warnings
from typing import Any

import jax
import numpy as np
from absl import flags
from tqdm import tqdm

from internal_diffusion import arrays, figures, report
from internal_diffusion.applications import (
  cascade,
  generation,
  image_model,
)
from internal_diffusion.bin import command, inputs
from internal_diffusion.data import image_io
from internal_diffusion.data.image_io import bound_side
from internal_diffusion.training.restore import load_model

_NAME = 'idiff-generate'
_FLAGS = flags.FlagValues()
_IMAGE = flags.DEFINE_list(
  'image',
  [],
  'The photograph; or several, with commas between, patterns with * and ? in'
  ' quotes, or folders.',
  flag_values=_FLAGS,
)
_OUT = flags.DEFINE_string('out', '', 'Folder to write to.', flag_values=_FLAGS)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  '',
  'Folder of a model that idiff-train made of this photograph with'
  ' --config=configs/cascade.py; the closed form, which needs no training, if'
  ' left out.',
  flag_values=_FLAGS,
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 4, 'How many images.', flag_values=_FLAGS
)
_SEED = flags.DEFINE_integer(
  'seed',
  0,
  'Seed of the first; the next ones count on from it.',
  flag_values=_FLAGS,
)
_SIZE = flags.DEFINE_string(
  'size',
  '',
  'Height and width of the images, as in 240x320; the photograph has its own'
  ' by default.',
  flag_values=_FLAGS,
)
_MODE = flags.DEFINE_string(
  'mode',
  'generate',
  "`generate` lays things out anew, `retarget` keeps the photograph's layout"
  ' at another size.',
  flag_values=_FLAGS,
)
_TILEABLE = flags.DEFINE_boolean(
  'tileable', False, 'Let opposite borders fit together.', flag_values=_FLAGS
)
_SYMMETRIC = flags.DEFINE_string(
  'symmetric',
  '',
  '`horizontal` makes left and right mirror images, `vertical` top and bottom.',
  flag_values=_FLAGS,
)
_STRUCTURE = flags.DEFINE_string(
  'structure',
  '',
  "A picture to be made anew in the photograph's texture.",
  flag_values=_FLAGS,
)
_START_SIGMA = flags.DEFINE_float(
  'start_sigma',
  None,
  'Noise on the picture that --mode=retarget (0.8 by default) and --structure'
  ' (0.4) begin with; less keeps more of it.',
  flag_values=_FLAGS,
)
_PATCH_SIZE = flags.DEFINE_integer(
  'patch_size',
  None,
  'Side of a patch, odd; a larger one keeps larger things whole. By default 15,'
  ' and 9 with --structure.',
  flag_values=_FLAGS,
)
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps',
  10,
  'Noise levels of a pyramid level; the coarsest has four times as many, the'
  ' finest half.',
  flag_values=_FLAGS,
)
_MAX_SIDE = flags.DEFINE_integer(
  'max_side',
  0,
  'Bound on the longest side of the photograph, in pixels; 0 is none.',
  flag_values=_FLAGS,
)
_AXES = {'vertical': 0, 'horizontal': 1}


def main() -> None:
  """Reads, generates, writes."""
  command.require(image=_IMAGE.value, out=_OUT.value)
  command.check_seed(_SEED.value)
  arrays.check_positive_int('num_samples', _NUM_SAMPLES.value)
  if _START_SIGMA.value is not None:
    arrays.check_in_range('start_sigma', _START_SIGMA.value, 0.002, 100)
  size = parse_size(_SIZE.value)
  if _WORKDIR.value and _SYMMETRIC.value:
    raise ValueError(
      '--symmetric needs mirrored patches, which a trained model has not seen;'
      ' leave --workdir out.'
    )
  if _MODE.value not in ('generate', 'retarget'):
    raise ValueError(
      f'--mode must be `generate` or `retarget`, got {_MODE.value!r}.'
    )
  if _SYMMETRIC.value not in ('', *_AXES):
    raise ValueError(
      '--symmetric must be `horizontal` or `vertical`, got'
      f' {_SYMMETRIC.value!r}.'
    )
  if _STRUCTURE.value and _MODE.value == 'retarget':
    raise ValueError(
      '--structure says the layout, so --mode=retarget does not go with it.'
    )
  paths = inputs.find_pictures(_IMAGE.value)
  directory = command.output_dir(_OUT.value)
  for path in paths:
    own = directory / path.stem if len(paths) > 1 else directory
    _generate(path, command.output_dir(str(own)), size)


def parse_size(text: str) -> tuple[int, int] | None:
  """'240x320' as (240, 320); None of nothing.

  Raises:
    ValueError: If it is not two positive whole numbers with an x between.
  """
  if not text:
    return None
  parts = text.lower().split('x')
  if len(parts) != 2 or not all(p.isdecimal() and int(p) for p in parts):
    raise ValueError(
      f'--size must be height and width as in 240x320, got {text!r}.'
    )
  return int(parts[0]), int(parts[1])


def _generate(
  path: pathlib.Path, directory: pathlib.Path, size: tuple[int, int] | None
) -> None:
  start = time.monotonic()
  image = image_io.read_image(
    path, channels=None, max_side=_MAX_SIDE.value or None
  )
  beginning = None
  if _STRUCTURE.value:
    beginning = image_io.read_image(_STRUCTURE.value, channels=image.shape[-1])
    beginning = bound_side(beginning, max_side=max(image.shape[:2]))
    size = beginning.shape[:2] if size is None else size
    beginning = like_in_colour(beginning, image)
  elif _MODE.value == 'retarget':
    beginning = image
  size = image.shape[:2] if size is None else size
  if image.max() - image.min() < 1e-6:
    warnings.warn(
      f'`{path}` is constant, so its samples are too.', stacklevel=2
    )
    constant = np.full((*size, image.shape[-1]), image.flat[0], np.float32)
    image_io.write_image(directory / 'sample_000.png', constant)
    return
  photograph = _image_model(image, size)
  options: dict[str, Any] = {
    'size': size,
    'num_steps': _NUM_STEPS.value,
    'tileable': _TILEABLE.value,
    'symmetric': bool(_SYMMETRIC.value),
  }
  if beginning is not None:
    options |= _start_options(photograph, beginning, size)
  generation.check_options(photograph, **options)
  seconds = {'setup': time.monotonic() - start}
  samples = []
  for index in tqdm(range(_NUM_SAMPLES.value), desc=path.name, unit='image'):
    start = time.monotonic()
    generated = generation.generate(
      jax.random.key(_SEED.value + index),
      photograph,
      **options,
    )
    samples.append(time.monotonic() - start)
    source = generation.find_sources(photograph, generated[-1])
    name = f'sample_{index:03d}'
    image_io.write_image(directory / f'{name}.png', generated[-1])
    frames = figures.level_frames(generated)
    image_io.write_image(
      directory / f'{name}_trace.png', np.concatenate(frames, axis=1)
    )
    image_io.write_animation(directory / f'{name}_trace.gif', frames)
    image_io.write_image(
      directory / f'{name}_source.png',
      figures.source_map(source, image.shape[:2]),
    )
    if _TILEABLE.value:
      image_io.write_image(
        directory / f'{name}_2x2.png',
        np.tile(generated[-1], (2, 2, 1)),
      )
  report.write_report(
    directory,
    figures={'seconds_per_sample': samples},
    settings={
      'image': str(path),
      'workdir': _WORKDIR.value,
      'mode': _MODE.value,
      'structure': _STRUCTURE.value,
      'symmetric': _SYMMETRIC.value,
      'tileable': _TILEABLE.value,
      'size': list(size),
      'patch_size': photograph.patch_size,
      'num_steps': _NUM_STEPS.value,
      'start_sigma': options.get('start_sigma'),
    },
    seed=_SEED.value,
    # The first sample compiles; what it takes longer than the fastest is that.
    seconds={
      **seconds,
      'compile': samples[0] - min(samples),
      'run': sum(samples) - samples[0] + min(samples),
    },
  )
  print(f'{_NAME}: {len(samples)} images in {directory}')


def _image_model(
  image: np.ndarray, size: tuple[int, int]
) -> image_model.ImageModel:
  if _WORKDIR.value:
    return cascade.make_image_model(load_model(_WORKDIR.value), image)
  # Smaller patches follow the lines of another picture more closely.
  patch_size = _PATCH_SIZE.value or (9 if _STRUCTURE.value else 15)
  num_levels = None
  if _MODE.value == 'retarget':
    smallest = np.minimum(image.shape[:2], size)
    num_levels = image_model.most_levels(*smallest, patch_size=patch_size)
  return image_model.prepare(
    image,
    patch_size=patch_size,
    num_levels=num_levels,
    mirrored=_AXES.get(_SYMMETRIC.value),
  )


def _start_options(
  model: image_model.ImageModel, picture: np.ndarray, size: tuple[int, int]
) -> dict[str, Any]:
  """Options of `generation.generate` to begin with a picture."""
  if not _STRUCTURE.value:
    return {'start': picture, 'start_sigma': _START_SIGMA.value or 0.8}
  return {
    'start': picture,
    'start_sigma': _START_SIGMA.value or 0.4,
    'start_level': generation.structure_level(model, size),
  }


def like_in_colour(picture: np.ndarray, image: np.ndarray) -> np.ndarray:
  """A picture with the mean and contrast of an image, channel by channel."""
  mean, spread = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))
  scaled = (picture - mean) / np.maximum(spread, 1e-3)
  matched = scaled * image.std(axis=(0, 1)) + image.mean(axis=(0, 1))
  return matched.clip(-1, 1).astype(np.float32)


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
