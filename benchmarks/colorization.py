"""Colorization of photographs made grey: error, uncertainty and time.

  python -m benchmarks.colorization --images=FOLDER --seeds=3

FOLDER holds colour photographs. Each is made grey (luminance of BT.601), and 40
squares of 7x7 pixels at the places of a jittered grid keep their true colours.
The baseline is Levin et al. 2004 with the same marks. Then the left half of
each photograph, in colour, is the reference of the grey right half; the
baseline gives each pixel the mean chroma of the reference's pixels of its
luminance.

The error is measured in CIE Lab: the mean distance (Delta E of 1976) and the
root mean square of the coordinates a and b.

References:
  Levin, Lischinski and Weiss 2004, Colorization using optimization.
  Welsh, Ashikhmin and Mueller 2002, Transferring color to greyscale images.
"""

import argparse
import pathlib
import time

import jax
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg
from skimage import color

from benchmarks import timing
from internal_diffusion.applications import restoration
from internal_diffusion.applications.restoration.colorize import to_colour
from internal_diffusion.applications.restoration.scribbles import (
  chroma_of,
  luminance_of,
)
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import calibration, sparsification

_NUM_MARKS, _RADIUS = 40, 3
_NUM_SAMPLES = 4
_NEIGHBOURS = [
  (i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
]


def mask_of_squares(size: tuple[int, int], seed: int) -> np.ndarray:
  """Mask [H, W] of 40 squares, one at a random place of each grid cell."""
  random = np.random.default_rng(seed)
  rows = min(
    (n for n in range(1, _NUM_MARKS + 1) if _NUM_MARKS % n == 0),
    key=lambda n: abs(np.log(n * n / _NUM_MARKS * size[1] / size[0])),
  )
  cells = rows, _NUM_MARKS // rows
  mask = np.zeros(size, bool)
  for cell in np.ndindex(cells):
    place = (np.array(cell) + random.uniform(0.1, 0.9, 2)) / cells * size
    low = np.clip(place.astype(int) - _RADIUS, 0, np.array(size) - 7)
    mask[low[0] : low[0] + 7, low[1] : low[1] + 7] = True
  return mask


def least_squares(
  luminance: np.ndarray, chroma: np.ndarray, mask: np.ndarray
) -> np.ndarray:
  """Chroma [H, W, 2] by Levin et al. 2004, eqs. 1 and 2.

  A pixel without a mark is the average of its 8 neighbours with weights
  exp(-(Y - Y')^2 / (2 s^2)), where s^2 is 0.3 of the variance of Y in the
  window of 3x3 pixels, but large enough for the most similar neighbour to have
  a weight of at least 0.01.
  """
  height, width = luminance.shape
  index = np.pad(
    np.arange(height * width).reshape(height, width), 1, constant_values=-1
  )
  inner = index[1:-1, 1:-1]
  shifted = np.stack(
    [
      index[1 + i : 1 + i + height, 1 + j : 1 + j + width]
      for i, j in _NEIGHBOURS
    ]
  )
  inside = shifted >= 0
  values = np.where(inside, luminance.ravel()[shifted], np.nan)
  window = np.concatenate([values, luminance[None]])
  squares = np.where(inside, (values - luminance) ** 2, np.inf)
  variance = np.maximum(
    0.6 * np.nanvar(window, axis=0), squares.min(axis=0) / np.log(100)
  )
  weight = np.exp(-squares / np.maximum(variance, 2e-6))
  weight = weight / weight.sum(axis=0)
  used = inside & ~mask
  rows = np.broadcast_to(inner, used.shape)[used]
  links = sparse.csr_matrix(
    (weight[used], (rows, shifted[used])), (mask.size,) * 2
  )
  system = sparse.eye(mask.size) - links
  known = np.where(mask[..., None], chroma, 0).reshape(-1, 2)
  return linalg.splu(system.tocsc()).solve(known).reshape(height, width, 2)


def luminance_table(
  reference: np.ndarray, luminance: np.ndarray, *, bins: int = 64
) -> np.ndarray:
  """Chroma [H, W, 2]: mean of the reference's pixels of each luminance."""
  level = np.minimum(luminance_of(reference) * bins, bins - 1).astype(int)
  values = np.concatenate(
    [chroma_of(reference), np.ones((*level.shape, 1))], -1
  )
  sums = np.stack(
    [
      ndimage.sum_labels(v, level, np.arange(bins))
      for v in np.moveaxis(values, -1, 0)
    ]
  )
  sums = ndimage.gaussian_filter1d(sums, 1, axis=1)
  table = sums[:2] / np.maximum(sums[2], 1e-3)
  place = luminance * bins - 0.5
  return np.stack([np.interp(place, np.arange(bins), t) for t in table], -1)


def lab_errors(image: np.ndarray, truth: np.ndarray) -> dict[str, float]:
  """Mean Delta E, and root mean square error of a and b."""
  difference = color.rgb2lab((image + 1) / 2) - color.rgb2lab((truth + 1) / 2)
  return {
    'delta_e': float(np.mean(np.linalg.norm(difference, axis=-1))),
    'rmse_ab': float(np.sqrt(np.mean(difference[..., 1:] ** 2))),
  }


def judge(
  seed: int,
  truth: np.ndarray,
  baseline: np.ndarray,
  grey: np.ndarray,
  **source: np.ndarray,
) -> dict[str, object]:
  """Errors of a colorization and of the baseline's chroma."""
  start = time.perf_counter()
  found = restoration.colorize(
    jax.random.key(seed), grey, num_samples=_NUM_SAMPLES, **source
  )
  seconds = time.perf_counter() - start
  error = np.abs(found.mean - truth)
  deviation = found.samples - found.mean
  return {
    'seed': seed,
    'seconds': seconds,
    'ours': lab_errors(found.mean, truth),
    'baseline': lab_errors(to_colour(luminance_of(grey), baseline), truth),
    'grey': lab_errors(np.repeat(grey, 3, -1), truth),
    'coverage_of_90': calibration.bounds_coverage(found.low, found.high, truth),
    'rank_correlation': sparsification.rank_correlation(found.std, error),
    'spread_over_error': float(
      np.sqrt(np.mean(deviation**2) / np.mean(error**2))
    ),
  }


def from_marks(truth: np.ndarray, seed: int) -> dict[str, object]:
  """Colorization from 40 squares of true colours."""
  luminance, mask = luminance_of(truth), mask_of_squares(truth.shape[:2], seed)
  layer = np.concatenate([truth, np.where(mask, 1, -1)[..., None]], axis=-1)
  return judge(
    seed,
    truth,
    least_squares(luminance, chroma_of(truth), mask),
    (2 * luminance - 1)[..., None],
    scribbles=layer.astype(np.float32),
  )


def from_half(truth: np.ndarray) -> dict[str, object]:
  """Colorization of the right half from the left half."""
  middle = truth.shape[1] // 2
  left, right = truth[:, :middle], truth[:, middle:]
  luminance = luminance_of(right)
  return judge(
    0,
    right,
    luminance_table(left, luminance),
    (2 * luminance - 1)[..., None],
    reference=left,
  )


def main() -> None:
  """Runs all photographs and saves the results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--images', type=pathlib.Path, required=True)
  parser.add_argument('--seeds', type=int, default=3)
  options = parser.parse_args()
  paths = sorted(
    p for p in options.images.iterdir() if p.suffix in ('.jpg', '.png')
  )
  if not paths:
    parser.error(f'there is no .jpg or .png file in {options.images}')
  marks, halves = {}, {}
  for path in paths:
    truth = image_io.read_image(path)
    marks[path.stem] = [from_marks(truth, s) for s in range(options.seeds)]
    halves[path.stem] = from_half(truth)
  timing.save(
    'colorization',
    'python -m benchmarks.colorization --images=FOLDER'
    f' --seeds={options.seeds}',
    {'marks': marks, 'halves': halves},
  )


if __name__ == '__main__':
  main()
