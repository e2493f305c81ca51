"""Estimates the optical flow between frames, and its uncertainty.

  idiff-flow --frames=a.png,b.png --out=out/

A model of displacements is learnt from the first frame of each pair. With
--workdir it is learnt once, from the first pair, saved, and used for the whole
sequence and for later runs. Writes flow.flo (Middlebury), flow_kitti.png
(KITTI, 16 bits) and flow.png, a figure of it; confidence.png, a map of the
standard deviation; ellipses.png, warp_check.png and motion.gif; result.npz with
mean [H, W, 2] as (u, v) in pixels, covariance [H, W, 2, 2], samples [K, H, W,
2], mode [H, W, 2] and occluded [H, W]; report.json; and index.html with all
figures. More than two frames are a sequence of pairs, each with a folder of its
own.
"""

import itertools
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from internal_diffusion import figures, files
from internal_diffusion import options as options_lib
from internal_diffusion.applications.flow import (
  Flow,
  FlowOptions,
  TrainOn,
  estimate_flow,
  learn_flow,
  pixel_modes,
  smooth_grey,
)
from internal_diffusion.applications.flow import figures as flow_figures
from internal_diffusion.applications.flow.frames import make_frame_pyramid
from internal_diffusion.applications.flow.pixel_samples import check_points
from internal_diffusion.bin import command, inputs, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import flow_io, image_io
from internal_diffusion.evaluation import flow_report

_NAME = 'idiff-flow'
_FLAGS = flags.FlagValues()
command.define_common(_FLAGS, 'frames', 'out', 'workdir', 'seed', 'overwrite')
option_flags.define(_FLAGS, FlowOptions, skip=('seed',))
flags.DEFINE_list(
  'points',
  [],
  'Pixels X:Y whose own posteriors are drawn in points.png.',
  flag_values=_FLAGS,
)
option_flags.define_path(
  _FLAGS,
  'truth',
  None,
  'True flow of two frames, .flo or KITTI .png, to compare with.',
)
_KITTI_RANGE = 512.0  # Bound on vectors in KITTI's format, in pixels.
_OUTPUTS = (
  'flow.flo',
  'flow_kitti.png',
  'result.npz',
  'flow.png',
  'confidence.png',
  'ellipses.png',
  'warp_check.png',
  'motion.gif',
  'points.png',
)


class _Truth(NamedTuple):
  flow: np.ndarray
  valid: np.ndarray


def main() -> None:
  """Reads frames; learns, estimates and writes for each pair."""
  command.require(frames=_FLAGS.frames)
  options = option_flags.read(_FLAGS, FlowOptions)
  paths = inputs.find_pictures(_FLAGS.frames, repeated=True)
  images = _read_frames(paths)
  make_frame_pyramid(images[0], options)  # Raises if it is too small.
  points = _read_points(_FLAGS.points, images[0].shape)
  truth = _read_truth(_FLAGS.truth, images)
  frames = dict(zip(paths, images, strict=True))
  command.for_each_input(
    _FLAGS,
    lambda results: _process(
      results, [frames[path] for path in results.inputs], options, points, truth
    ),
    name=_NAME,
    settings={
      **options_lib.to_dict(options),
      'points': _FLAGS.points,
      'truth': _FLAGS.truth,
      'workdir': _FLAGS.workdir,
    },
    outputs=_OUTPUTS,
    given={
      f'{index:03d}_{index + 1:03d}': pair
      for index, pair in enumerate(itertools.pairwise(paths))
    },
    also_read=[_FLAGS.truth],
  )


def _process(
  results: Results,
  images: Sequence[np.ndarray],
  options: FlowOptions,
  points: np.ndarray,
  truth: _Truth | None,
) -> dict[str, Any]:
  first, second = images
  if np.array_equal(first, second):
    warnings.warn('The frames are identical: their flow is 0.', stacklevel=2)
  model = learn_flow(
    images if options.train_on == TrainOn.BOTH else images[:1],
    options,
    workdir=_FLAGS.workdir,
    progress=True,
  )
  results.lap('setup')
  key = jax.random.key(options.seed)
  flow = estimate_flow(
    key, model, first, second, options=options, progress=True
  )
  grey = smooth_grey(first, options), smooth_grey(second, options)
  mode_key, point_key = jax.random.split(jax.random.fold_in(key, 1))
  mode = pixel_modes(mode_key, model, *grey, flow.mean)
  _write_numbers(results, flow, mode)
  _draw_figures(results, first, second, flow)
  if len(points):
    _draw(
      results,
      'points.png',
      'Posterior of the flow at single pixels.',
      flow_figures.point_figure,
      point_key,
      model,
      *grey,
      flow,
      points,
    )
  return _figures_of_merit(results, flow, first, options, truth)


def _write_numbers(results: Results, flow: Flow, mode: np.ndarray) -> None:
  flow_io.write_flow(results.path('flow.flo'), flow.mean)
  if np.abs(flow.mean).max() < _KITTI_RANGE:
    flow_io.write_flow(results.path('flow_kitti.png'), flow.mean)
  files.write_npz(
    results.path('result.npz'),
    {
      'mean': flow.mean,
      'covariance': flow.covariance,
      'samples': flow.samples,
      'mode': mode,
      'occluded': flow.occluded,
    },
  )


def _draw_figures(
  results: Results, first: np.ndarray, second: np.ndarray, flow: Flow
) -> None:
  _draw(
    results,
    'flow.png',
    'Flow: the hue is its direction, the saturation its length.',
    figures.flow_figure,
    {'flow': flow.mean},
    image=first,
    title='Optical flow',
  )
  for name, caption, draw, arguments in (
    (
      'confidence.png',
      'Standard deviation of the flow.',
      flow_figures.uncertainty_figure,
      (first, flow),
    ),
    (
      'ellipses.png',
      'Covariance of the flow.',
      flow_figures.ellipse_figure,
      (first, flow),
    ),
    (
      'warp_check.png',
      'The second frame, warped onto the first.',
      flow_figures.warp_figure,
      (first, second, flow),
    ),
  ):
    _draw(results, name, caption, draw, *arguments)
  image_io.write_animation(
    results.picture('motion.gif', 'The first frame, moved along the flow.'),
    flow_figures.motion_frames(first, second, flow),
    seconds=0.08,
  )


def _draw(
  results: Results,
  name: str,
  caption: str,
  draw: Callable[..., figures.Figure],
  *args: Any,
  **kwargs: Any,
) -> None:
  path = results.picture(name, caption)
  figures.write_or_warn(path, draw, *args, **kwargs)


def _figures_of_merit(
  results: Results,
  flow: Flow,
  first: np.ndarray,
  options: FlowOptions,
  truth: _Truth | None,
) -> dict[str, Any]:
  """The report's figures; also sets the summary."""
  length = np.linalg.norm(flow.mean, axis=-1)
  found: dict[str, Any] = {
    'size': list(flow.mean.shape[:2]),
    'mean_length_pixels': float(length.mean()),
    'median_std_pixels': float(
      np.median(flow_figures.standard_deviation(flow))
    ),
    'occluded_fraction': float(flow.occluded.mean()),
  }
  results.summary = f'median length {np.median(length):.2f} pixels'
  if truth is not None:
    found['unknown_truth_pixels'] = int((~truth.valid).sum())
    found |= flow_report.judge_flow(
      flow.mean,
      flow.covariance,
      truth.flow,
      valid=truth.valid,
      image=first,
      is_horizontal=options.stereo,
    )
    results.summary += f', mean endpoint error {found["aepe"]:.3f} pixels'
  return found


def _read_frames(paths: Sequence[pathlib.Path]) -> list[np.ndarray]:
  if len(paths) < 2:
    raise ValueError(
      f'`frames` must name two frames or more, got {len(paths)}; with a comma'
      ' between, as in --frames=a.png,b.png.'
    )
  # The channels of the file tell grey from colour.
  images = [image_io.read_image(path, channels=None) for path in paths]
  for path, image in zip(paths[1:], images[1:], strict=True):
    if image.shape[:2] != images[0].shape[:2]:
      (height, width), (own_height, own_width) = (
        images[0].shape[:2],
        image.shape[:2],
      )
      raise ValueError(
        f'`frames` must have one size; {paths[0]} is {width}x{height} and'
        f' {path} is {own_width}x{own_height}.'
      )
    if image.shape[2] != images[0].shape[2]:
      raise ValueError(
        f'`frames` must all be grey or all be coloured; {paths[0]} has'
        f' {images[0].shape[2]} channels and {path} {image.shape[2]}.'
      )
  return images


def _read_points(names: Sequence[str], size: tuple[int, ...]) -> np.ndarray:
  try:
    points = [[int(number) for number in name.split(':')] for name in names]
    found = np.array(points, int).reshape(-1, 2)
  except ValueError as error:
    raise ValueError(
      f'`points` must be pixels such as 10:20,30:40, got {",".join(names)}.'
    ) from error
  check_points(found, size)
  return found


def _read_truth(
  name: str | None, images: Sequence[np.ndarray]
) -> _Truth | None:
  if not name:
    return None
  if len(images) > 2:
    raise ValueError('`truth` needs exactly two `frames`.')
  truth = _Truth(*flow_io.read_flow(name))
  if truth.flow.shape[:2] != images[0].shape[:2]:
    raise ValueError(
      f'`truth` must have the size of the frames, {images[0].shape[:2]}, got'
      f' {truth.flow.shape[:2]}.'
    )
  if not truth.valid.any():
    raise ValueError(f'`truth` is unknown everywhere in {name}.')
  return truth


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
