"""Rivals of measured displacement: OpenPIV, and image matching's uncertainty.

OpenPIV runs with the Python of an environment of its own:

  python -m venv OPENPIV && OPENPIV/bin/pip install openpiv==0.25.3

The uncertainty of image matching is written from the paper's description:
particles that both frames show after they are moved together have a remaining
distance; in a window, the mean m and the standard deviation s of N of them give
the standard uncertainty sqrt(m^2 + s^2 / N).

Reference:
  Sciacchitano, Wieneke & Scarano 2013, PIV uncertainty quantification by image
    matching.
"""

import pathlib
import subprocess
import tempfile

import numpy as np
import scipy.ndimage

_WINDOW = 16  # Of the last pass, in pixels.
_THRESHOLD = 0.1  # Of a peak of the product of both frames, over its maximum.
_SCRIPT = """
import sys
import numpy as np
from openpiv import windef
frames = np.load(sys.argv[1])
settings = windef.PIVSettings()
settings.windowsizes, settings.overlap = (64, 32, 16), (32, 16, 8)
settings.num_iterations = 3
x, y, u, v, _ = windef.simple_multipass(frames['a'], frames['b'], settings)
parts = (np.ma.filled(np.asarray(p, float), np.nan) for p in (x, y, u, v))
np.savez(sys.argv[2], **dict(zip('xyuv', parts)))
"""


_IMAGES = """
import pathlib, sys
import numpy as np
import openpiv
from openpiv import tools
folder = pathlib.Path(openpiv.__file__).parent / 'data' / 'test1'
names = ('exp1_001_a.bmp', 'exp1_001_b.bmp')
first, second = (tools.imread(str(folder / name)) for name in names)
np.savez(sys.argv[1], first=first, second=second)
"""


def test_images(python: str) -> tuple[np.ndarray, np.ndarray]:
  """The pair of frames that comes with OpenPIV, [H, W] of 8 bits each."""
  with tempfile.TemporaryDirectory() as folder:
    found = pathlib.Path(folder, 'out.npz')
    subprocess.run(
      [python, '-c', _IMAGES, str(found)], check=True, capture_output=True
    )
    with np.load(found) as result:
      return result['first'], result['second']


def openpiv(
  python: str, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Points (x, y) and vectors (u, v) of OpenPIV, [m, n, 2] each.

  The windows have 64, 32 and 16 pixels, half of which overlap. Vectors are
  those of the middle between both frames.
  """
  with tempfile.TemporaryDirectory() as folder:
    given, found = (pathlib.Path(folder, n) for n in ('in.npz', 'out.npz'))
    np.savez(given, a=first.astype(float), b=second.astype(float))
    subprocess.run(
      [python, '-c', _SCRIPT, str(given), str(found)],
      check=True,
      capture_output=True,
    )
    with np.load(found) as result:
      x, y, u, v = (result[name] for name in 'xyuv')
  # Its y points up.
  return np.stack([x, len(first) - y], -1), np.stack([u, -v], -1)


def image_matching(
  first: np.ndarray, second: np.ndarray, points: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
  """Standard uncertainties of (u, v) at points, [m, n, 2].

  Args:
    first: First frame, [H, W].
    second: Second frame, [H, W].
    points: Points (x, y), [m, n, 2].
    vectors: Measured (u, v) of the middle, [m, n, 2].
  """
  rows, columns = np.indices(first.shape).astype(float)
  ys, xs = points[:, 0, 1], points[0, :, 0]
  at = [(rows - ys[0]) / (ys[1] - ys[0]), (columns - xs[0]) / (xs[1] - xs[0])]
  u, v = (
    scipy.ndimage.map_coordinates(vectors[..., i], at, order=3, mode='nearest')
    for i in range(2)
  )
  moved = [
    scipy.ndimage.map_coordinates(
      frame.astype(float), [rows + s * v, columns + s * u], order=5
    )
    for frame, s in ((first, -0.5), (second, 0.5))
  ]
  flat = [frame - np.median(frame) for frame in moved]
  product = np.maximum(flat[0], 0) * np.maximum(flat[1], 0)
  is_peak = product == scipy.ndimage.maximum_filter(product, 3)
  is_peak &= product > _THRESHOLD * np.quantile(product, 0.999)
  is_peak[:2] = is_peak[-2:] = is_peak[:, :2] = is_peak[:, -2:] = False
  places = np.argwhere(is_peak)
  there, here = (_centres(frame, places) for frame in (flat[1], flat[0]))
  distance = there - here
  known = np.isfinite(distance).all(axis=1)
  places, distance = places[known], distance[known]
  weights = np.sqrt(product[tuple(places.T)])
  found = np.full((*points.shape[:2], 2), np.nan)
  for index in np.ndindex(points.shape[:2]):
    x, y = points[index]
    near = np.abs(places - (y, x)).max(axis=1) <= _WINDOW / 2
    if near.sum() < 2:
      continue
    weight = weights[near, None] / weights[near].sum()
    mean = np.sum(weight * distance[near], axis=0)
    spread = np.sum(weight * (distance[near] - mean) ** 2, axis=0)
    found[index] = np.sqrt(mean**2 + spread / near.sum())
  return found


def _centres(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
  """Centres (x, y) of particles near places (row, column), [N, 2].

  A Gaussian goes through three pixels around the brightest of nine.
  """
  found = []
  for row, column in places:
    part = frame[row - 1 : row + 2, column - 1 : column + 2]
    dy, dx = np.array(np.unravel_index(part.argmax(), (3, 3))) - 1
    r, c = row + dy, column + dx
    centre = []
    for values, start in (
      (frame[r, c - 1 : c + 2], c),
      (frame[r - 1 : r + 2, c], r),
    ):
      if len(values) < 3 or values.min() <= 0:
        centre.append(np.nan)
        continue
      low, mid, high = np.log(values)
      curvature = low - 2 * mid + high
      step = (low - high) / (2 * curvature) if curvature < 0 else np.nan
      centre.append(start + step if abs(step) < 1 else np.nan)
    found.append(centre)
  return np.array(found, float).reshape(-1, 2)
