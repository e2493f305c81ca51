"""Other fills of holes, for the same pictures and masks.

Two of them are of scikit-image and OpenCV. The third is a plain fill by nearest
patches: coarse to fine, PatchMatch (Barnes et al. 2009) and a vote of the
patches (Wexler et al. 2007), from a smooth first fill.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from scipy import ndimage
from skimage import restoration, transform

with contextlib.suppress(ImportError):
  import cv2

_SIDE = 7
_HALF = _SIDE // 2
_ROUNDS, _SEARCHES = 5, 3
_COARSEST_RADIUS = 4.0

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def fills() -> Iterator[tuple[str, Fill]]:
  """Name and function of each, from picture and mask to the filled picture."""
  yield 'biharmonic', _biharmonic
  if 'cv2' in globals():
    yield 'cv2 TELEA', _telea
  yield 'PatchMatch', fill_by_nearest_patches


def _biharmonic(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  filled = restoration.inpaint_biharmonic(
    np.where(mask[..., None], 0, image), mask, channel_axis=-1
  )
  return filled.clip(-1, 1).astype(np.float32)


def _telea(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  grey_levels = np.rint(255 * (image + 1) / 2).clip(0, 255).astype(np.uint8)
  filled = cv2.inpaint(
    np.squeeze(grey_levels), mask.astype(np.uint8), 3, cv2.INPAINT_TELEA
  )
  filled = filled.reshape(image.shape).astype(np.float32) / 127.5 - 1
  return np.where(mask[..., None], filled, image)


def fill_by_nearest_patches(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Fills by nearest patches and votes, from coarse to fine."""
  rng = np.random.default_rng(0)
  radius, factor = ndimage.distance_transform_edt(mask).max(), 1
  while radius / factor > _COARSEST_RADIUS and min(mask.shape) / factor > 48:
    factor *= 2
  filled, field = None, None
  while factor >= 1:
    size = [-(-side // factor) for side in mask.shape]
    # Pixels that a hole's pixel takes part in are of the hole.
    weight = transform.resize(
      (~mask).astype(np.float64), size, anti_aliasing=factor > 1
    )
    small = transform.resize(image, (*size, image.shape[2]))
    hole = weight < 0.999 if factor > 1 else mask
    if factor == 1:
      small = image
    if filled is None:
      filled = _biharmonic(small.astype(np.float32), hole)
    else:
      larger = transform.resize(filled, small.shape)
      filled = np.where(hole[..., None], larger, small)
    filled, field = _complete(rng, filled.astype(np.float64), hole, field)
    factor //= 2
  return np.where(mask[..., None], filled, image).astype(np.float32)


def _complete(
  rng: np.random.Generator,
  filled: np.ndarray,
  hole: np.ndarray,
  field: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
  """Rounds of search and vote at one level."""
  height, width = hole.shape
  touched = ndimage.maximum_filter(hole, _SIDE)
  inner = np.zeros_like(hole)
  inner[_HALF : height - _HALF, _HALF : width - _HALF] = True
  sources, targets = inner & ~touched, np.argwhere(touched & inner)
  known = np.argwhere(sources)
  own = known[rng.integers(len(known), size=hole.shape)]
  if field is not None:
    old = field[
      np.minimum(np.arange(height) // 2, len(field) - 1)[:, None],
      np.minimum(np.arange(width) // 2, field.shape[1] - 1)[None],
    ]
    parity = np.moveaxis(np.indices(hole.shape) % 2, 0, -1)
    new = 2 * old + parity
    new[..., 0] = new[..., 0].clip(0, height - 1)
    new[..., 1] = new[..., 1].clip(0, width - 1)
    own = np.where(sources[new[..., 0], new[..., 1]][..., None], new, own)
  for _ in range(_ROUNDS):
    own = _search(rng, filled, targets, sources, known, own)
    filled = _vote(filled, hole, targets, own)
  return filled, own


def _windows(filled: np.ndarray, places: np.ndarray) -> np.ndarray:
  view = np.lib.stride_tricks.sliding_window_view(
    filled, (_SIDE, _SIDE), (0, 1)
  )
  return view[places[:, 0] - _HALF, places[:, 1] - _HALF]


def _search(
  rng: np.random.Generator,
  filled: np.ndarray,
  targets: np.ndarray,
  sources: np.ndarray,
  known: np.ndarray,
  field: np.ndarray,
) -> np.ndarray:
  patches = _windows(filled, targets)
  rows, columns = targets.T
  size = np.array(sources.shape)
  best = field[rows, columns]
  least = _distance(filled, patches, best)
  for _ in range(_SEARCHES):
    field = field.copy()
    field[rows, columns] = best
    tries = [
      field[rows - dy, columns - dx] + (dy, dx)
      for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    reach = max(sources.shape)
    while reach >= 1:
      tries.append(best + rng.integers(-reach, reach + 1, best.shape))
      reach //= 4
    tries.append(known[rng.integers(len(known), size=len(best))])
    for other in tries:
      other = other.clip(0, size - 1)
      other = np.where(sources[*other.T][:, None], other, best)
      distance = _distance(filled, patches, other)
      is_better = distance < least
      best = np.where(is_better[:, None], other, best)
      least = np.minimum(distance, least)
  field = field.copy()
  field[rows, columns] = best
  return field


def _distance(
  filled: np.ndarray, patches: np.ndarray, places: np.ndarray
) -> np.ndarray:
  return np.sum((patches - _windows(filled, places)) ** 2, axis=(1, 2, 3))


def _vote(
  filled: np.ndarray, hole: np.ndarray, targets: np.ndarray, field: np.ndarray
) -> np.ndarray:
  total, count = np.zeros_like(filled), np.zeros((*hole.shape, 1))
  sources = field[*targets.T]
  for dy in range(-_HALF, _HALF + 1):
    for dx in range(-_HALF, _HALF + 1):
      step = np.array([[dy, dx]])
      there = targets + step
      total[*there.T] += filled[*(sources + step).T]
      count[*there.T] += 1
  voted = total / np.maximum(count, 1)
  use = hole[..., None] & (count > 0)
  return np.where(use, voted, filled)
