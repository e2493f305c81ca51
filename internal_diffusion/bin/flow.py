"""Estimates what moved where between frames, and how sure that is.

  idiff-flow --frames=a.png,b.png --out=out/

A model of displacements is learnt from the first frame alone. Writes flow.flo
(Middlebury), flow_kitti.png (KITTI, 16 bits) and flow.png, a picture of it;
confidence.png, a map of the standard deviation; ellipses.png, warp_check.png
and motion.gif; result.npz with mean [H, W, 2] as (u, v) in pixels, covariance
[H, W, 2, 2], samples [K, H, W, 2], mode [H, W, 2] and hidden [H, W]; and
report.json. More than two frames are done as a sequence of pairs, each in a
folder of its own.
"""

import itertools
import pathlib
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from absl import flags

from internal_diffusion import arrays, files
from internal_diffusion.applications import flow as flow_lib
from internal_diffusion.applications import (
  flow_model,
  flow_output,
  pixel_flow,
)
from internal_diffusion.applications.flow_model import FlowModel
from internal_diffusion.bin import command, inputs
from internal_diffusion.bin.results import Results
from internal_diffusion.configs import flow as config_lib
from internal_diffusion.data import flow_io, image_io
from internal_diffusion.evaluation import flow_report

_NAME = 'idiff-flow'
_FLAGS = flags.FlagValues()
command.define_common(_FLAGS, 'frames', 'out', 'seed', 'overwrite')
_DENOISER = flags.DEFINE_string(
  'denoiser',
  'learned',
  '`learned`, or `closed_form`: block matching, without training.',
  flag_values=_FLAGS,
)
_TRAIN_ON = flags.DEFINE_string(
  'train_on',
  'first',
  'Learn from the `first` frame of a pair, or from `both`.',
  flag_values=_FLAGS,
)
_STEREO = flags.DEFINE_boolean(
  'stereo',
  False,
  'The frames are a rectified stereo pair: nothing moves up or down.',
  flag_values=_FLAGS,
)
_MINUTES = flags.DEFINE_float(
  'minutes', 1.0, 'Minutes to learn, for each pair.', flag_values=_FLAGS
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 16, 'How many samples, at least 2.', flag_values=_FLAGS
)
_POINTS = flags.DEFINE_list(
  'points',
  [],
  'Pixels X:Y whose own distributions are drawn in points.png.',
  flag_values=_FLAGS,
)
_TRUTH = flags.DEFINE_string(
  'truth',
  '',
  'The true flow of two frames, .flo or KITTI .png, to compare with.',
  flag_values=_FLAGS,
)


class _Truth(NamedTuple):
  flow: np.ndarray
  valid: np.ndarray


def main() -> None:
  """Reads, learns, estimates, writes."""
  command.require(frames=_FLAGS.frames)
  arrays.check_in_range('num_samples', _NUM_SAMPLES.value, 2, float('inf'))
  if _DENOISER.value not in ('learned', 'closed_form'):
    raise ValueError(
      f'--denoiser must be `learned` or `closed_form`, got {_DENOISER.value!r}.'
    )
  if _TRAIN_ON.value not in ('first', 'both'):
    raise ValueError(
      f'--train_on must be `first` or `both`, got {_TRAIN_ON.value!r}.'
    )
  config = config_lib.get_config(minutes=_MINUTES.value)
  config.train.seed = _FLAGS.seed
  paths = inputs.find_pictures(_FLAGS.frames, repeated=True)
  images = _read_frames(paths)
  points = _read_points(_POINTS.value, images[0].shape)
  truth = _read_truth(_TRUTH.value, images)
  for image in images:
    flow_model.make_frame(image, config)  # Says whether it is too small.
  frames = dict(zip(paths, images, strict=True))
  pairs = itertools.pairwise(paths)
  command.for_each_input(
    _FLAGS,
    lambda results: _estimate(
      results, [frames[path] for path in results.inputs], config, points, truth
    ),
    name=_NAME,
    settings={name: _FLAGS[name].value for name in _OWN_FLAGS},
    outputs=(*_CAPTIONS, *_DATA_FILES),
    given={
      f'{index:03d}_{index + 1:03d}': pair for index, pair in enumerate(pairs)
    },
    also_read=[_TRUTH.value],
  )


def _estimate(
  results: Results,
  images: Sequence[np.ndarray],
  config: ml_collections.ConfigDict,
  points: np.ndarray,
  truth: _Truth | None,
) -> dict[str, object]:
  first_image, second_image = images
  if np.array_equal(first_image, second_image):
    warnings.warn('The frames are identical: their flow is 0.', stacklevel=2)
  model = _make_model(images, config)
  results.lap('setup')
  key = jax.random.key(_FLAGS.seed)
  first, second = (flow_model.make_frame(image, config) for image in images)
  found = flow_lib.estimate_flow(
    key,
    model,
    first,
    second,
    options=flow_lib.make_options(config, is_horizontal=_STEREO.value),
    num_samples=_NUM_SAMPLES.value,
    progress=True,
  )
  mode_key, point_key = jax.random.split(jax.random.fold_in(key, 1))
  mode = flow_output.modes(mode_key, model, first, second, found)
  for name in _DATA_FILES:
    results.path(name)
  for name, caption in _CAPTIONS.items():
    if name != 'points.png' or len(points):
      results.picture(name, caption)
  directory = results.directory
  flow_output.write_flow_files(directory, first_image, second_image, found)
  if len(points):
    flow_output.write_points(
      point_key, directory, model, first, second, found, points
    )
  files.write_npz(
    directory / 'result.npz',
    {
      'mean': found.mean,
      'covariance': found.covariance,
      'samples': found.samples,
      'mode': mode,
      'hidden': found.is_hidden,
    },
  )
  spread = np.sqrt(np.trace(found.covariance, axis1=-2, axis2=-1))
  figures: dict[str, object] = {
    'size': list(found.mean.shape[:2]),
    'mean_length_pixels': float(np.linalg.norm(found.mean, axis=-1).mean()),
    'median_std_pixels': float(np.median(spread)),
    'hidden_share': float(found.is_hidden.mean()),
  }
  length = np.median(np.linalg.norm(found.mean, axis=-1))
  results.summary = f'median length {length:.2f} pixels'
  if truth is not None:
    figures['unknown_truth_pixels'] = int((~truth.valid).sum())
    figures |= flow_report.judge_flow(
      found.mean,
      found.covariance,
      truth.flow,
      valid=truth.valid,
      image=first_image,
      is_horizontal=_STEREO.value,
    )
    results.summary += f', mean endpoint error {figures["aepe"]:.3f},'
  return figures


_DATA_FILES = ('flow.flo', 'flow_kitti.png', 'result.npz')
_CAPTIONS = {
  'flow.png': 'Flow: hue is the direction, saturation the length.',
  'confidence.png': 'Standard deviation of the flow.',
  'ellipses.png': 'Flow and its covariance.',
  'warp_check.png': 'The second frame, warped onto the first.',
  'motion.gif': 'The first frame, moved along the flow.',
  'points.png': 'Distributions of the displacement at single pixels.',
}
_OWN_FLAGS = (
  'denoiser',
  'train_on',
  'stereo',
  'minutes',
  'num_samples',
  'points',
  'truth',
)


def _make_model(
  images: Sequence[np.ndarray], config: ml_collections.ConfigDict
) -> FlowModel:
  if _DENOISER.value == 'closed_form':
    return flow_model.closed_form_flow_model(config)
  chosen = images if _TRAIN_ON.value == 'both' else images[:1]
  return flow_model.train_flow_model(chosen, config, progress=True)


def _read_frames(paths: Sequence[pathlib.Path]) -> list[np.ndarray]:
  if len(paths) < 2:
    raise ValueError(
      f'--frames must name two frames or more, got {len(paths)}; with a comma'
      ' between, as in --frames=a.png,b.png.'
    )
  # As the file holds it, so that grey is told from colour.
  images = [image_io.read_image(path, channels=None) for path in paths]
  for path, image in zip(paths[1:], images[1:], strict=True):
    if image.shape[:2] != images[0].shape[:2]:
      sizes = ' and '.join(
        f'{name} is {shape[1]}x{shape[0]}'
        for name, shape in (
          (paths[0], images[0].shape),
          (path, image.shape),
        )
      )
      raise ValueError(f'Frames must have one size; {sizes}.')
    if image.shape[2] != images[0].shape[2]:
      raise ValueError(
        f'Frames must all be grey or all be coloured; {paths[0]} has'
        f' {images[0].shape[2]} channels and {path} {image.shape[2]}.'
      )
  return images


def _read_points(names: Sequence[str], size: tuple[int, ...]) -> np.ndarray:
  try:
    points = [[int(number) for number in name.split(':')] for name in names]
    found = np.array(points, int).reshape(-1, 2)
  except ValueError as error:
    raise ValueError(
      f'--points must be pixels such as 10:20,30:40, got {",".join(names)}.'
    ) from error
  pixel_flow.check_points(found, size)
  return found


def _read_truth(name: str, images: Sequence[np.ndarray]) -> _Truth | None:
  if not name:
    return None
  if len(images) > 2:
    raise ValueError('--truth needs exactly two --frames.')
  truth = _Truth(*flow_io.read_flow(name))
  if truth.flow.shape[:2] != images[0].shape[:2]:
    raise ValueError(
      f'--truth must have the size of the frames, {images[0].shape[:2]}, got'
      f' {truth.flow.shape[:2]}.'
    )
  if not truth.valid.any():
    raise ValueError(f'--truth is unknown everywhere in {name}.')
  return truth


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
