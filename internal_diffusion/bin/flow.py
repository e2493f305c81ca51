"""Estimates the optical flow between frames, and its uncertainty.

  idiff-flow --frames=a.png,b.png --out=out/

A model of displacements is learnt from the first frame of each pair. With
--workdir it is learnt once, from the first pair, saved, and used for the whole
sequence and for later runs. Writes flow.flo (Middlebury), flow_kitti.png
(KITTI, 16 bits) and flow.png, a figure of it; confidence.png, a map of the
standard deviation; ellipses.png, warp_check.png and motion.gif; result.npz with
mean [H, W, 2] as (u, v) in pixels, covariance [H, W, 2, 2], samples [S, H, W,
2], mode [H, W, 2] of each pixel alone near the mean, modes [H, W, K, 2] among
all displacements with mode_weights [H, W, K] (the first is the one that the
field chose), occlusion [H, W], the probability that the second frame does not
show a pixel, and occluded [H, W]; report.json; and index.html with all figures.
More than two frames are a sequence of pairs, each with a folder of its own.

Particle images and speckle (--kind) are measured instead: windows and errors
are learnt from the first pair. For all kinds, vectors on a grid with standard
deviations are in vectors.csv, vectors.nc and vectors.png, where they are
measured with vorticity, divergence and strain; those of a sequence together in
vectors.nc, their mean and its standard error in ensemble.csv and ensemble.nc.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from internal_diffusion.applications.flow.frames import (
  make_frame_pyramid,
)
from internal_diffusion.applications.flow.pixels import check_points
from internal_diffusion.applications.measurement import (
  Kind,
  MeasurementOptions,
  find_kind,
)
from internal_diffusion.bin import (
  command,
  common_flags,
  flow_frames,
  flow_vectors,
  inputs,
  option_flags,
)
from internal_diffusion.bin.results import Results
from internal_diffusion.data import flow_io, image_io
from internal_diffusion.evaluation import flow_report

_NAME = 'idiff-flow'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'frames', 'out', 'workdir', 'seed', 'overwrite')
option_flags.define(_FLAGS, MeasurementOptions, skip=('seed',))
option_flags.define(_FLAGS, FlowOptions, skip=('seed',))
_POINTS_HELP = 'Pixels X:Y whose own posteriors are drawn in points.png.'
_TRUTH_HELP = 'True flow of two frames, .flo or KITTI .png, to compare with.'
flags.DEFINE_list('points', [], _POINTS_HELP, flag_values=_FLAGS)
option_flags.define_path(_FLAGS, 'truth', None, _TRUTH_HELP)
_MASK_HELP = 'Picture of the size of the frames, white where not to measure.'
option_flags.define_path(_FLAGS, 'mask', None, _MASK_HELP)
_DOUBLE_HELP = 'Whether the frames are pairs 1 and 2, 3 and 4, and so on.'
flags.DEFINE_boolean('double_frames', False, _DOUBLE_HELP, flag_values=_FLAGS)
_KITTI_RANGE = 512.0  # Bound on vectors in KITTI's format, in pixels.
_FIGURES = {
  'flow.png': 'Flow: the hue is its direction, the saturation its length.',
  'confidence.png': 'Standard deviation of the flow.',
  'ellipses.png': 'Covariance of the flow.',
  'warp_check.png': 'The second frame, warped onto the first.',
  'points.png': 'Posterior of the flow at single pixels.',
  'motion.gif': 'The first frame, moved along the flow.',
}
_Truth = tuple[np.ndarray, np.ndarray]  # The flow and the mask of its pixels.


def main() -> None:
  """Reads frames; learns, estimates and writes for each pair."""
  command.require(frames=_FLAGS.frames)
  options = option_flags.read(_FLAGS, FlowOptions)
  measuring = option_flags.read(_FLAGS, MeasurementOptions, seed=_FLAGS.seed)
  paths = inputs.find_pictures(_FLAGS.frames, repeated=True)
  frames = flow_frames.read_frames(paths)
  first = frames[next(path for path in paths if path in frames)]
  measuring.check_grid(first.shape)
  ignored = flow_frames.read_mask(_FLAGS.mask, first.shape[:2])
  points = _read_points(_FLAGS.points, first.shape)
  truth = _read_truth(_FLAGS.truth, list(frames.values()))
  kind = measuring.kind
  if kind == Kind.AUTO:
    kind = find_kind(first)
    print(f'{_NAME}: the frames are taken for {kind} (--kind)')
  measuring = options_lib.replace(measuring, kind=kind)
  if kind == Kind.PHOTOGRAPH:
    make_frame_pyramid(first, options)  # Raises if it is too small.
  fields: dict[str, Any] = {}

  def process(results: Results) -> dict[str, Any]:
    pair = [frames[path] for path in results.inputs]
    if kind == Kind.PHOTOGRAPH:
      figures_of_merit, fields[results.name] = _process(
        results, pair, options, measuring, points, truth, ignored
      )
    else:
      figures_of_merit, fields[results.name] = flow_vectors.process(
        results, pair, measuring, ignored, _FLAGS.workdir
      )
    return figures_of_merit

  command.for_each_input(
    _FLAGS,
    process,
    name=_NAME,
    settings={
      **options_lib.to_dict(options),
      **options_lib.to_dict(measuring),
      'points': _FLAGS.points,
      'truth': _FLAGS.truth,
      'mask': _FLAGS.mask,
      'workdir': _FLAGS.workdir,
    },
    outputs=(
      'flow.flo',
      'flow_kitti.png',
      'result.npz',
      *_FIGURES,
      *flow_vectors.OUTPUTS,
    ),
    given=flow_frames.pairs_of(
      paths, frames, double_frames=_FLAGS.double_frames
    ),
    also_read=[_FLAGS.truth, _FLAGS.mask],
    together=lambda path: flow_vectors.write_together(path, fields, measuring),
  )


def _process(
  results: Results,
  images: Sequence[np.ndarray],
  options: FlowOptions,
  measuring: MeasurementOptions,
  points: np.ndarray,
  truth: _Truth | None,
  ignored: np.ndarray | None,
) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
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
  drawings: dict[str, Callable[[], figures.Figure]] = {
    'flow.png': lambda: figures.flow_figure(
      {'flow': flow.mean}, image=first, title='Optical flow'
    ),
    'confidence.png': lambda: flow_figures.uncertainty_figure(first, flow),
    'ellipses.png': lambda: flow_figures.ellipse_figure(first, flow),
    'warp_check.png': lambda: flow_figures.warp_figure(first, second, flow),
  }
  if len(points):
    drawings['points.png'] = lambda: flow_figures.point_figure(
      point_key, model, *grey, flow, points
    )
  for name, draw in drawings.items():
    figures.write_or_warn(results.picture(name, _FIGURES[name]), draw)
  image_io.write_animation(
    results.picture('motion.gif', _FIGURES['motion.gif']),
    flow_figures.motion_frames(first, second, flow),
    seconds=0.08,
  )
  field = flow_vectors.write_vectors(
    results,
    first,
    flow_vectors.from_flow(flow, *grey, ignored),
    None,
    measuring,
  )
  return _figures_of_merit(results, flow, first, options, truth), field


def _write_numbers(results: Results, flow: Flow, mode: np.ndarray) -> None:
  flow_io.write_flow(results.path('flow.flo'), flow.mean)
  if np.abs(flow.mean).max() < _KITTI_RANGE:
    flow_io.write_flow(results.path('flow_kitti.png'), flow.mean)
  names = (
    *('mean', 'covariance', 'samples', 'modes', 'mode_weights'),
    *('occlusion', 'occluded'),
  )
  arrays = {name: getattr(flow, name) for name in names} | {'mode': mode}
  files.write_npz(results.path('result.npz'), arrays)


def _figures_of_merit(
  results: Results,
  flow: Flow,
  first: np.ndarray,
  options: FlowOptions,
  truth: _Truth | None,
) -> dict[str, Any]:
  """The report's figures; also sets the summary."""
  length = np.linalg.norm(flow.mean, axis=-1)
  std = flow_figures.standard_deviation(flow)
  found: dict[str, Any] = {
    'size': list(length.shape),
    'mean_length_pixels': float(length.mean()),
    'median_std_pixels': float(np.median(std)),
    'occluded_fraction': float(flow.occluded.mean()),
  }
  results.summary = f'median length {np.median(length):.2f} pixels'
  if truth is not None:
    true_flow, valid = truth
    found['unknown_truth_pixels'] = int((~valid).sum())
    found |= flow_report.judge_flow(
      flow.mean,
      flow.covariance,
      true_flow,
      valid=valid,
      image=first,
      is_horizontal=options.stereo,
    )
    results.summary += f', mean endpoint error {found["aepe"]:.3f} pixels'
  return found


def _read_points(names: Sequence[str], size: tuple[int, ...]) -> np.ndarray:
  try:
    pairs = [name.split(':') for name in names]
    found = np.array([(int(x), int(y)) for x, y in pairs], int).reshape(-1, 2)
  except (ValueError, OverflowError) as error:
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
  flow, valid = flow_io.read_flow(name)
  if flow.shape[:2] != images[0].shape[:2]:
    raise ValueError(
      f'`truth` must have the size of the frames, {images[0].shape[:2]}, got'
      f' {flow.shape[:2]}.'
    )
  if not valid.any():
    raise ValueError(f'`truth` is unknown everywhere in {name}.')
  return flow, valid


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
