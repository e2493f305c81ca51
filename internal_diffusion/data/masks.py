"""Masks: which pixels of a picture are missing, or are to be changed.

A mask is [H, W] bool; True is missing. In a file, white is missing. A soft mask
is [H, W] in [0, 1], the share of an object in each pixel.
"""

import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np

from internal_diffusion.data import image_io

Size = tuple[int, int]


class UniformMaskError(ValueError):
  """A mask of which all pixels or none are missing.

  Attributes:
    colour: Its colour, `white` or `black`.
  """

  def __init__(self, colour: str) -> None:
    super().__init__(
      '`mask` must be white at some pixels, which are missing, and black at the'
      f' others; it is {colour} everywhere.'
    )
    self.colour = colour


def read_mask(path: str | os.PathLike[str], size: Size) -> np.ndarray:
  """Reads a mask from a picture file.

  White is missing and black is known; a grey value is what it is nearer to.
  The file may be grey, 1-bit, a palette or RGB. If it has transparent pixels,
  its alpha channel is the mask instead of its colours: opaque is missing, as
  where somebody has painted over the damage on a layer of its own.

  Args:
    path: Input path, in any format that `image_io` reads.
    size: Height and width of the picture. A mask of another size is resized
      (nearest pixel) with a warning.

  Returns:
    The mask, [H, W] bool.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file cannot be read.
    UniformMaskError: If all pixels or none are missing.
  """
  return check_mask(_read_values(path, size) > 0, size)


def read_soft_mask(path: str | os.PathLike[str], size: Size) -> np.ndarray:
  """As `read_mask`, but grey values are shares: [H, W] float32 in [0, 1]."""
  values = _read_values(path, size)
  check_mask(values > 0, size)
  return ((values + 1) / 2).astype(np.float32)


def read_masks(
  paths: Sequence[str | os.PathLike[str]], size: Size
) -> np.ndarray:
  """Reads the masks of a clip, one for each frame, [T, H, W] bool.

  A mask may be black everywhere. Otherwise as in `read_mask`.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If a file cannot be read.
  """
  return np.stack([_read_values(path, size) > 0 for path in paths])


def _read_values(path: str | os.PathLike[str], size: Size) -> np.ndarray:
  """A mask's values in [-1, 1], [H, W]."""
  path = pathlib.Path(path)
  picture, _ = image_io.read_image_with_alpha(path)
  if picture.shape[-1] in (2, 4):
    values = picture[..., -1]
  else:
    values = picture.mean(axis=-1)
  if values.shape != size:
    old, new = ('x'.join(map(str, s)) for s in (values.shape, size))
    warnings.warn(
      f'`{path}`: the mask is resized from {old} to {new} (height x width).',
      stacklevel=3,
    )
    values = resize_mask(values, size)
  return values


def check_mask(mask: np.ndarray, size: Size) -> np.ndarray:
  """Checks a mask.

  Args:
    mask: True where a pixel is missing, [H, W] bool.
    size: Height and width of the picture.

  Returns:
    The mask.

  Raises:
    ValueError: If it has another type or size.
    UniformMaskError: If all pixels or none are missing.

  Example:
    >>> check_mask(np.eye(3, dtype=bool), (3, 3)).sum()
    np.int64(3)
  """
  mask = np.asarray(mask)
  if mask.dtype != bool or mask.shape != size:
    raise ValueError(
      f'`mask` must be bool {list(size)}, True where a pixel is missing, got'
      f' {mask.dtype} {list(mask.shape)}.'
    )
  if mask.all() or not mask.any():
    raise UniformMaskError('white' if mask.all() else 'black')
  return mask


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
  """The nearest pixel of a mask for each pixel of another size.

  Args:
    mask: [H, W] bool.
    size: The other height and width.
  """
  rows, columns = (
    ((np.arange(new) + 0.5) * old / new).astype(int)
    for new, old in zip(size, mask.shape, strict=True)
  )
  return mask[rows[:, None], columns]
