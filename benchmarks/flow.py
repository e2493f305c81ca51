"""Optical flow with known truth, beside OpenCV's methods.

  pip install -e '.[bench]'
  python -m benchmarks.flow --pairs=FOLDER

The pairs, all with the same options: Middlebury's (`--pairs`, see
flow_baselines), photographs of scikit-image moved by known fields, one of them
with a disc of constant grey, scikit-image's motorcycle, a rectified stereo pair
at a quarter of its size, and moved cut-outs of photographs (`--only=layers`,
see flow_layers).
"""

import argparse
import pathlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
import skimage.data
import skimage.transform

from benchmarks import flow_baselines, flow_layers, tables, timing
from internal_diffusion.applications.flow import (
  Flow,
  FlowOptions,
  estimate_flow,
  learn_flow,
)
from internal_diffusion.data import flow_fields, flow_io, image_io
from internal_diffusion.evaluation import flow_error, flow_report

_SIDE = 256  # Shorter side of the moved photographs, in pixels.
_MARGIN = 8  # At least the longest vector, in pixels.
_STEREO_SCALE = 4
_DISC_RADIUS = 45  # In pixels.
_PATCH_REACH = 8  # Reach of a patch with its smoothing, in pixels.


class Pair(NamedTuple):
  """Two frames and the flow between them.

  Attributes:
    name: Name of the pair.
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, [H, W, C].
    flow: True flow (u, v) in pixels, [H, W, 2].
    valid: Mask of known flow, [H, W].
    is_stereo: Whether the flow is horizontal.
    flat: Mask of pixels whose patches are constant, [H, W], if known.
    occluded: Mask of pixels that the second frame does not show, [H, W], if
      known.
  """

  name: str
  first: np.ndarray
  second: np.ndarray
  flow: np.ndarray
  valid: np.ndarray
  is_stereo: bool = False
  flat: np.ndarray | None = None
  occluded: np.ndarray | None = None


def photograph(name: str) -> np.ndarray:
  """Photograph of scikit-image with a shorter side of 256 pixels."""
  image = getattr(skimage.data, name)() / 255.0
  scale = _SIDE / min(image.shape[:2])
  size = [round(scale * side) for side in image.shape[:2]]
  small = skimage.transform.resize(image, size, order=3, anti_aliasing=True)
  return (2 * small.clip(0, 1) - 1).astype(np.float32)


def to_8_bits(image: np.ndarray) -> np.ndarray:
  """Image rounded to 8 bits, as a camera gives it."""
  return (np.rint(127.5 * (image.clip(-1, 1) + 1)) / 127.5 - 1).astype('f4')


def moved(kind: str, name: str) -> Pair:
  """Photograph and its copy moved by a known field."""
  image = photograph(name)
  size = image.shape[:2]
  if kind == 'translation':
    flow = flow_fields.translation(size, displacement=(5.3, -3.7))
  elif kind == 'rotation':
    flow = flow_fields.rotation(size, degrees=2.0)
  elif kind == 'zoom':
    flow = flow_fields.zoom(size, factor=1.04)
  else:
    flow = flow_fields.smooth_random(0, size, amplitude=8.0, smoothness=40.0)
  made = flow_fields.make_pair(image, flow, margin=_MARGIN)
  first, second, flow, inside = map(np.asarray, made)
  return Pair(
    f'{kind} of {name}', to_8_bits(first), to_8_bits(second), flow, inside
  )


def from_middle(size: tuple[int, ...]) -> np.ndarray:
  """Distance of the pixels from the centre of a frame, [H, W]."""
  rows, columns = np.indices(size[:2])
  return np.hypot(rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2)


def moved_with_disc() -> Pair:
  """Rotated photograph with a disc of constant grey at its centre."""
  image = photograph('coffee')
  image = np.where(from_middle(image.shape)[..., None] < _DISC_RADIUS, 0, image)
  flow = flow_fields.rotation(image.shape[:2], degrees=2.0)
  made = flow_fields.make_pair(image.astype(np.float32), flow, margin=_MARGIN)
  first, second, flow, inside = map(np.asarray, made)
  flat = from_middle(first.shape) < _DISC_RADIUS - _PATCH_REACH
  frames = to_8_bits(first), to_8_bits(second)
  return Pair('rotation of a disc', *frames, flow, inside, flat=flat)


def motorcycle() -> Pair:
  """Stereo pair: a point at x in the left frame is at x - d in the right."""
  left, right, disparity = skimage.data.stereo_motorcycle()
  shape = [side // _STEREO_SCALE for side in disparity.shape]
  frames = [
    skimage.transform.resize(
      2 * (frame / 255.0) - 1, shape, order=3, anti_aliasing=True
    )
    for frame in (left, right)
  ]
  start = _STEREO_SCALE // 2
  d = disparity[start::_STEREO_SCALE, start::_STEREO_SCALE] / _STEREO_SCALE
  d = d[: shape[0], : shape[1]]
  valid = np.isfinite(d)
  u = np.where(valid, -d, 0)
  flow = np.stack([u, np.zeros_like(u)], axis=-1).astype(np.float32)
  return Pair(
    'motorcycle, stereo', *map(to_8_bits, frames), flow, valid, is_stereo=True
  )


def all_pairs(folder: pathlib.Path | None) -> Iterator[Pair]:
  """All pairs of the benchmark."""
  folders = (
    sorted(p.parent for p in folder.glob('*/flow10.flo')) if folder else []
  )
  for path in folders:
    first, second = (
      image_io.read_image(path / f'frame1{i}.png') for i in (0, 1)
    )
    flow, valid = flow_io.read_flow(path / 'flow10.flo')
    yield Pair(path.name, first, second, flow, valid)
  yield motorcycle()
  for kind, name in (
    ('translation', 'coffee'),
    ('rotation', 'astronaut'),
    ('zoom', 'chelsea'),
    ('smooth field', 'rocket'),
    ('smooth field', 'coffee'),
  ):
    yield moved(kind, name)
  yield moved_with_disc()
  for number in range(flow_layers.NUM_PAIRS):
    first, second, flow, occluded = flow_layers.make(number)
    valid = np.ones(occluded.shape, bool)
    yield Pair(
      f'layers {number}', first, second, flow, valid, occluded=occluded
    )


def judge(
  pair: Pair, minutes: float, seed: int, denoiser: str
) -> dict[str, object]:
  """Figures of our flow and OpenCV's on one pair."""
  options = FlowOptions(
    denoiser=denoiser, minutes=minutes, seed=seed, stereo=pair.is_stereo
  )
  start = time.perf_counter()
  model = learn_flow([pair.first], options)
  trained = time.perf_counter()
  found = estimate_flow(
    jax.random.key(seed), model, pair.first, pair.second, options=options
  )
  estimated = time.perf_counter()
  textured = flow_error.textured(pair.first)
  std = np.sqrt(np.trace(found.posteriors.covariance, axis1=2, axis2=3))
  figures: dict[str, object] = flow_report.judge_flow(
    found.mean,
    found.covariance,
    pair.flow,
    valid=pair.valid,
    image=pair.first,
    rival_spread=np.linalg.norm(found.disagreement, axis=-1),
    is_horizontal=pair.is_stereo,
  )
  errors = flow_error.endpoint_error(found.mean, pair.flow)[pair.valid]
  figures['below_1_pixel'] = float(np.mean(errors < 1))
  if pair.occluded is not None:
    figures |= judge_occlusion(found, pair)
  flat = ~textured if pair.flat is None else pair.flat
  figures['std_untextured_over_textured'] = float(
    np.median(std[flat]) / np.median(std[textured])
  )
  grey = [
    np.rint(127.5 * (grey_of(image) + 1)).astype(np.uint8)
    for image in (pair.first, pair.second)
  ]
  rivals = {name: fn(*grey) for name, fn in flow_baselines.METHODS.items()}
  return {
    'figures': figures,
    'rivals': {
      name: flow_error.flow_errors(flow, pair.flow, mask=pair.valid).aepe
      for name, flow in rivals.items()
    },
    # An error that all methods have may be one of the truth.
    'median_errors': {
      name: np.median((flow - pair.flow)[pair.valid], axis=0).tolist()
      for name, flow in {'ours': found.mean, **rivals}.items()
    },
    'seconds': {
      'training': trained - start,
      'estimate_and_compile': estimated - trained,
    },
  }


def judge_occlusion(found: Flow, pair: Pair) -> dict[str, float]:
  """Figures of a pair whose occluded pixels are known."""
  occluded = np.asarray(pair.occluded)
  errors = flow_error.endpoint_error(found.mean, pair.flow)
  of_modes = flow_error.endpoint_error(
    found.modes, np.broadcast_to(pair.flow[:, :, None], found.modes.shape)
  )
  both = (found.occluded & occluded).sum()
  return {
    'aepe_visible': float(errors[~occluded].mean()),
    'aepe_occluded': float(errors[occluded].mean()),
    'occluded': float(occluded.mean()),
    'occlusion_precision': float(both / max(found.occluded.sum(), 1)),
    'occlusion_recall': float(both / max(occluded.sum(), 1)),
    'a_mode_within_1.5': float(np.mean(of_modes.min(-1)[~occluded] < 1.5)),
  }


def grey_of(image: np.ndarray) -> np.ndarray:
  """Luma of ITU-R BT.601, [H, W]."""
  if image.shape[-1] == 1:
    return image[..., 0]
  return image @ np.array([0.299, 0.587, 0.114], np.float32)


def main() -> None:
  """Runs all pairs and saves the results after each."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--pairs', type=pathlib.Path)
  parser.add_argument(
    '--only',
    help='parts of pair names, separated by commas; others keep results',
  )
  parser.add_argument('--minutes', type=float, default=1.0)
  parser.add_argument('--denoiser', default='learned')
  parser.add_argument('--seed', type=int, default=0)
  options = parser.parse_args()
  command = (
    f'python -m benchmarks.flow --pairs=FOLDER --minutes={options.minutes:g}'
  )
  name = 'flow'
  if options.denoiser != 'learned':
    command += f' --denoiser={options.denoiser}'
    name += f'_{options.denoiser}'
  runs: dict[str, object] = {}
  if options.only and (timing.RESULTS / f'{name}.json').exists():
    runs = tables.read(name)['runs']
  for pair in all_pairs(options.pairs):
    chosen = not options.only or any(
      part in pair.name for part in options.only.split(',')
    )
    if chosen:
      runs[pair.name] = judge(
        pair, options.minutes, options.seed, options.denoiser
      )
      timing.save(name, command, {'runs': runs})


if __name__ == '__main__':
  main()
