"""How well a filled hole joins the picture around it.

  seam        whether differences of neighbouring pixels across the hole's
              border are like those beside it, by ranks
  coherence   mean distance of the patches that touch the hole to the nearest
              patches of the known picture
  detail      energy of the finest detail in the hole over that of the truth

Images are [H, W, C] in [-1, 1]; masks are True in the hole, [H, W].
"""

import numpy as np
import scipy  # Its `stats` is imported where it is used.
from scipy import ndimage

from internal_diffusion.evaluation.nearest_patches import (
  nearest_vectors,
)
from internal_diffusion.jax_settings import with_own_settings

_BESIDE = (3, 5)  # Distances of the other pairs to the border, in pixels.
_APART = 8  # Distance of the pairs along the border: nearer ones are alike.
_FINEST = 1.0  # Standard deviation of the filter that detail is above.


def seam_p_value(image: np.ndarray, mask: np.ndarray) -> float:
  """Probability of a border as different as this one, if there is no seam.

  Mann and Whitney's test (1947) of the absolute differences of neighbouring
  pixels, one known and one filled, against those of the pairs in the same
  direction 3 and 5 pixels to both sides, on every eighth row and column, as
  nearer ones are alike. A visible border gives a p-value near 0, sharper or
  smoother than what is beside it.

  Args:
    image: Filled picture, [H, W, C].
    mask: True in the hole, [H, W].
  """
  across, beside = [], []
  for axis in (0, 1):
    steps = np.abs(np.diff(image, axis=axis)).mean(axis=-1)
    is_border = np.asarray(np.diff(mask, axis=axis))
    # The lines across the border that are taken.
    lines = np.arange(image.shape[1 - axis]) % _APART == 0
    is_border = is_border & (lines[None] if axis == 0 else lines[:, None])
    across.append(steps[is_border])
    # Pairs that lie beside a border, and not across one themselves.
    for distance in _BESIDE:
      for sign in (1, -1):
        moved = _moved(is_border, sign * distance, axis)
        beside.append(steps[moved & ~is_border])
  pooled = np.concatenate(beside)
  own = np.concatenate(across)
  return float(scipy.stats.mannwhitneyu(own, pooled).pvalue)


def _moved(values: np.ndarray, step: int, axis: int) -> np.ndarray:
  """Values [H, W] moved along an axis, False where none come from."""
  moved = np.roll(values, step, axis)
  edge = slice(None, step) if step > 0 else slice(step, None)
  moved[(edge,) if axis == 0 else (slice(None), edge)] = False
  return moved


@with_own_settings
def hole_coherence(
  image: np.ndarray, mask: np.ndarray, *, patch_size: int = 7, stride: int = 2
) -> float:
  """Mean distance of the hole's patches to the nearest known ones.

  Args:
    image: Filled picture, [H, W, C].
    mask: True in the hole, [H, W].
    patch_size: Side P of a patch, odd.
    stride: Distance of the patches that are looked up, in pixels.

  Returns:
    Root mean square per value; 0 if every patch occurs in the known picture.
  """
  size = (patch_size, patch_size)
  view = np.lib.stride_tricks.sliding_window_view
  patches = view(np.asarray(image, np.float32), size, (0, 1))
  hole = view(mask, size)
  touches = np.asarray(hole.any(axis=(2, 3)))
  is_known = ~touches
  chosen = np.zeros_like(touches)
  chosen[::stride, ::stride] = touches[::stride, ::stride]
  queries = patches[chosen].reshape(chosen.sum(), -1)
  bank = patches[is_known].reshape(is_known.sum(), -1)
  _, squares = nearest_vectors(queries, bank)
  return float(np.sqrt(squares[:, 0]).mean())


def hole_detail(
  image: np.ndarray, truth: np.ndarray, mask: np.ndarray
) -> float:
  """Energy of the finest detail in the hole, over that of the truth."""
  energies = [
    np.mean((picture - _blur(picture))[mask] ** 2) for picture in (image, truth)
  ]
  return float(energies[0] / max(energies[1], 1e-12))


def _blur(image: np.ndarray) -> np.ndarray:
  return ndimage.gaussian_filter(image, (_FINEST, _FINEST, 0))
