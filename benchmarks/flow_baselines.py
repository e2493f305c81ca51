"""Baselines of optical flow without learning: OpenCV on Middlebury's pairs.

  pip install -e '.[bench]'
  python -m benchmarks.flow_baselines --pairs=FOLDER

FOLDER holds a folder for each pair, with frame10.png, frame11.png and the truth
flow10.flo (vision.middlebury.edu/flow, grey or colour). Both methods receive
8-bit grey frames, for which they were made.

References:
  Farneback 2003, Two-frame motion estimation based on polynomial expansion.
  Kroeger et al. 2016, Fast optical flow using dense inverse search.
"""

import argparse
import pathlib
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks import timing
from internal_diffusion.data import flow_io, image_io
from internal_diffusion.evaluation import flow_error

# `method(first, second)`: flow [H, W, 2] of grey frames [H, W] in uint8.
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def dense_inverse_search(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Kroeger et al. 2016, at its medium preset and down to the full size."""
  method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  method.setFinestScale(0)
  return method.calc(first, second, None)


def farneback(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Farneback 2003, with five levels and windows of 13 pixels."""
  return cv2.calcOpticalFlowFarneback(
    first,
    second,
    None,
    pyr_scale=0.5,
    levels=5,
    winsize=13,
    iterations=10,
    poly_n=7,
    poly_sigma=1.5,
    flags=0,
  )


METHODS: dict[str, Method] = {
  'DIS': dense_inverse_search,
  'Farneback': farneback,
}


def grey_frame(path: pathlib.Path) -> np.ndarray:
  """Grey frame in uint8, [H, W]."""
  image = image_io.read_image(path, channels=1)[..., 0]
  return np.rint(127.5 * (image + 1)).astype(np.uint8)


def judge(folder: pathlib.Path, method: Method) -> dict[str, object]:
  """Seconds and errors of a method on a pair: all, textured, untextured."""
  first, second = (grey_frame(folder / f'frame1{i}.png') for i in (0, 1))
  truth, valid = flow_io.read_flow(folder / 'flow10.flo')
  texture = flow_error.textured(image_io.read_image(folder / 'frame10.png'))
  flow = method(first, second)
  masks = {
    'all': valid,
    'textured': valid & texture,
    'untextured': valid & ~texture,
  }
  errors = {
    name: flow_error.flow_errors(flow, truth, mask=mask)._asdict()
    for name, mask in masks.items()
  }
  seconds = timing.seconds_of(lambda: method(first, second), repeats=5)
  return {'errors': errors, 'seconds': seconds}


def main() -> None:
  """Runs all pairs and saves the results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--pairs', type=pathlib.Path, required=True)
  options = parser.parse_args()
  folders = sorted(p.parent for p in options.pairs.glob('*/flow10.flo'))
  if not folders:
    parser.error(f'there is no */flow10.flo in {options.pairs}')
  runs = {
    folder.name: {
      name: judge(folder, method) for name, method in METHODS.items()
    }
    for folder in folders
  }
  timing.save(
    'flow_baselines',
    'python -m benchmarks.flow_baselines --pairs=FOLDER',
    {'opencv': cv2.__version__, 'runs': runs},
  )


if __name__ == '__main__':
  main()
