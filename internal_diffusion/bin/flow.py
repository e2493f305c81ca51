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
Pixels of --mask are NaN with infinite covariance, and so are vectors that are
not valid. The report.json of a sequence lists frames that were left out.
"""

import pathlib
import warnings
from collections.abc import Callable, Sequence
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
from internal_diffusion.applications.measurement import (
  Kind,
  MeasurementOptions,
  find_kind,
)
from internal_diffusion.bin import (
  command,
  common_flags,
  flow_checks,
  flow_frames,
  flow_truth,
  flow_vectors,
  inputs,
  option_flags,
)
from internal_diffusion.bin.flow_truth import Truth
from internal_diffusion.bin.results import Results
from internal_diffusion.data import flow_io, image_io

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


def main() -> None:
  """Reads frames; learns, estimates and writes for each pair."""
  command.require(frames=_FLAGS.frames)
  options = option_flags.read(_FLAGS, FlowOptions)
  measuring = option_flags.read(_FLAGS, MeasurementOptions, seed=_FLAGS.seed)
  paths = inputs.find_pictures(_FLAGS.frames, repeated=True)
  frames, left_out = flow_frames.read_frames(paths)
  first = frames[next(path for path in paths if path in frames)]
  measuring.check_grid(first.shape)
  ignored = flow_frames.read_mask(_FLAGS.mask, first.shape[:2])
  points = flow_frames.read_points(_FLAGS.points, first.shape)
  truth = flow_truth.read_truth(
    _FLAGS.truth, first.shape[:2], num_frames=len(paths)
  )
  kind = measuring.kind
  if kind == Kind.AUTO:
    # A constant frame does not tell.
    kind = find_kind(next(filter(np.ptp, frames.values()), first))
    print(f'{_NAME}: the frames are taken for {kind} (--kind)')
  measuring = options_lib.replace(measuring, kind=kind)
  flow_checks.check_used(_FLAGS, kind)
  flow_checks.check_saved(
    _FLAGS, kind, options if kind == Kind.PHOTOGRAPH else measuring
  )
  if kind == Kind.PHOTOGRAPH:
    make_frame_pyramid(first, options)  # Raises if it is too small.

  def process(results: Results) -> dict[str, Any]:
    pair = [frames[path] for path in results.inputs]
    with flow_frames.named(results.inputs):
      if kind == Kind.PHOTOGRAPH:
        return _process(
          results, pair, options, measuring, points, truth, ignored
        )
      return flow_vectors.process(
        results, pair, measuring, truth, ignored, _FLAGS.workdir
      )

  def write_together(
    path: Callable[[str], pathlib.Path], done: Sequence[Results]
  ) -> dict[str, Any]:
    flow_vectors.write_together(path, done, measuring)
    return {'left_out': left_out} if left_out else {}

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
    # A sequence of which two frames are left has the folders of a sequence.
    several=len(paths) > 2,
    together=write_together,
  )


def _process(
  results: Results,
  images: Sequence[np.ndarray],
  options: FlowOptions,
  measuring: MeasurementOptions,
  points: np.ndarray,
  truth: Truth | None,
  ignored: np.ndarray | None,
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
  measured = np.ones(mode.shape[:2], bool) if ignored is None else ~ignored
  known = _hide(flow, measured)
  _write_numbers(
    results, known, np.where(measured[..., None], mode, np.nan), measured
  )
  drawings: dict[str, Callable[[], figures.Figure]] = {
    'flow.png': lambda: figures.flow_figure(
      {'flow': flow.mean}, image=first, title='Optical flow', valid=measured
    ),
    'confidence.png': lambda: flow_figures.uncertainty_figure(first, known),
    'ellipses.png': lambda: flow_figures.ellipse_figure(first, known),
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
  counts = flow_vectors.write_vectors(
    results,
    first,
    flow_vectors.from_flow(flow, *grey, ignored),
    None,
    measuring,
    ignored=ignored,
    why='The frames may not be a pair.',
  )
  found = _figures_of_merit(results, flow, measured) | counts
  if truth is not None:
    found |= truth.judge(
      results,
      flow.mean,
      flow.covariance,
      measured=measured,
      image=first,
      is_horizontal=options.stereo,
    )
  return found


def _hide(flow: Flow, measured: np.ndarray) -> Flow:
  """The flow, NaN with infinite covariance where it was not measured."""
  kept, nan = measured[..., None], np.float32(np.nan)
  infinite = np.diag([np.inf, np.inf]).astype(np.float32)
  return flow._replace(
    mean=np.where(kept, flow.mean, nan),
    covariance=np.where(kept[..., None], flow.covariance, infinite),
    samples=np.where(kept, flow.samples, nan),
    modes=np.where(kept[..., None], flow.modes, nan),
  )


def _write_numbers(
  results: Results, flow: Flow, mode: np.ndarray, measured: np.ndarray
) -> None:
  names = ['flow.flo']
  if np.nanmax(np.abs(flow.mean)) < _KITTI_RANGE:
    names.append('flow_kitti.png')
  for name in names:
    flow_io.write_flow(results.path(name), flow.mean, valid=measured)
  fields = (
    *('mean', 'covariance', 'samples', 'modes', 'mode_weights'),
    *('occlusion', 'occluded'),
  )
  arrays = {name: getattr(flow, name) for name in fields} | {'mode': mode}
  files.write_npz(results.path('result.npz'), arrays)


def _figures_of_merit(
  results: Results, flow: Flow, measured: np.ndarray
) -> dict[str, Any]:
  """The report's figures, of measured pixels; also sets the summary."""
  length = np.linalg.norm(flow.mean, axis=-1)[measured]
  std = flow_figures.standard_deviation(flow)[measured]
  results.summary = f'median length {np.median(length):.2f} pixels'
  return {
    'size': list(measured.shape),
    'mean_length_pixels': float(length.mean()),
    'median_std_pixels': float(np.median(std)),
    'occluded_fraction': float(flow.occluded[measured].mean()),
  }


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
