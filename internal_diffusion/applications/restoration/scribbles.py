"""Marks of colour on a grey picture (Levin et al. 2004), as scattered values.

Chroma is the pair R - Y, B - Y of values in [0, 1], where Y is the luminance of
ITU-R BT.601; it is (0, 0) for grey.

Reference:
  Levin, Lischinski and Weiss 2004, Colorization using optimization.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from internal_diffusion.data.colour_planes import to_planes

# A mark differs from the picture by more than the rounding of a JPEG file does.
_LEAST_DIFFERENCE = 8 / 255
_TILE = 64  # Pixels; a long stroke is several groups.


class Marks(NamedTuple):
  """Pixels of known chroma.

  Attributes:
    row: Rows of the pixels, [N] int.
    column: Columns of the pixels, [N] int.
    chroma: Chroma of the pixels, [N, 2].
    group: Index of the mark, or of the part of a long mark, that a pixel is of,
      [N] int.
  """

  row: np.ndarray
  column: np.ndarray
  chroma: np.ndarray
  group: np.ndarray


def luminance_of(image: np.ndarray) -> np.ndarray:
  """Luminance [H, W] in [0, 1] of an image [H, W, 1 or 3] in [-1, 1]."""
  return (to_planes(np.clip(image, -1, 1))[0] + 1) / 2


def chroma_of(image: np.ndarray) -> np.ndarray:
  """Chroma [H, W, 2] of a colour image [H, W, 3] in [-1, 1]."""
  return np.moveaxis(to_planes(image)[1:3], 0, -1) / 2


def find_marks(
  image: np.ndarray, scribbles: np.ndarray, *, max_points: int
) -> Marks:
  """Finds the marks and a part of their pixels, evenly spread over them.

  Args:
    image: Picture without marks, [H, W, 1 or 3] in [-1, 1].
    scribbles: The picture with marks on it, [H, W, 3], whose marks are where
      the two differ; or the marks alone, [H, W, 4], where alpha above 0 (half
      opaque) is a mark.
    max_points: Number of pixels to return, about.

  Raises:
    ValueError: If the sizes differ, or there are no marks or no colours.
  """
  mask = mask_of_marks(image, scribbles)
  label, _ = ndimage.label(mask, np.ones((3, 3)))
  row, column = np.nonzero(mask)
  tiles = -(-mask.shape[1] // _TILE)
  tile = (row // _TILE) * tiles + column // _TILE
  group = label[row, column] * (tile.max() + 1) + tile
  if len(row) <= 64 * label.max():  # Small marks are not divided.
    group = label[row, column]
  step = -(-len(row) // max_points)
  order = np.argsort(group, kind='stable')[step // 2 :: step]
  row, column = row[order], column[order]
  return Marks(
    row,
    column,
    chroma_of(scribbles[..., :3])[row, column],
    np.unique(group[order], return_inverse=True)[1],
  )


def mask_of_marks(image: np.ndarray, scribbles: np.ndarray) -> np.ndarray:
  """Mask of the marks, [H, W] bool; for the arguments, see `find_marks`."""
  if scribbles.ndim != 3 or scribbles.shape[-1] not in (3, 4):
    raise ValueError(
      '`scribbles` must be [H, W, 3] or [H, W, 4], got shape'
      f' {scribbles.shape}.'
    )
  if scribbles.shape[:2] != image.shape[:2]:
    raise ValueError(
      f'`scribbles` must have the size of the picture, {image.shape[:2]}, got'
      f' {scribbles.shape[:2]}.'
    )
  if scribbles.shape[-1] == 4 and np.any(scribbles[..., 3] <= 0):
    mask = scribbles[..., 3] > 0
    where = 'be opaque somewhere'
  else:
    difference = np.abs(scribbles[..., :3] - np.clip(image, -1, 1)).max(-1)
    mask = difference > 2 * _LEAST_DIFFERENCE
    where = 'differ from the picture somewhere'
  if not mask.any():
    raise ValueError(f'`scribbles` must {where}; there are no marks.')
  return mask
