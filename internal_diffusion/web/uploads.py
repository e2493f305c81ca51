"""Files that a person gives: their limits, safe copies, and previews.

Readers are imported where they are used, so that the page starts sooner.
"""

import pathlib
import re
import shutil
import warnings

import numpy as np

PREVIEW_SIDE = 640
MAX_BYTES = 100 * 2**20
_ARRAYS = ('.npy', '.mat')


def check_file(path: pathlib.Path) -> None:
  """Raises ValueError if a file is too large."""
  size = path.stat().st_size
  if size > MAX_BYTES:
    raise ValueError(
      f'{path.name} has {size / 2**20:.0f} MB; at most'
      f' {MAX_BYTES / 2**20:.0f} MB can be given here.'
    )


def preview(path: pathlib.Path, *, is_clip: bool = False) -> np.ndarray | None:
  """A file for the screen, uint8 [H, W, 3]; None for an array file.

  Args:
    path: The file.
    is_clip: Whether it is a clip, of which the first frame is shown.

  Raises:
    ValueError: If the file is too large or is no picture, or no clip, that can
      be read.
  """
  from internal_diffusion.data import image_io

  check_file(path)
  if path.suffix.lower() in _ARRAYS:
    return None
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    if is_clip:
      image = image_io.bound_side(_first_frame(path), max_side=PREVIEW_SIDE)
    else:
      image = image_io.read_image(path, max_side=PREVIEW_SIDE)
  # A brush is too wide for a tiny picture.
  zoom = max(1, PREVIEW_SIDE // max(image.shape[:2]))
  image = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
  return np.rint(127.5 * (image + 1)).astype(np.uint8)


def _first_frame(path: pathlib.Path) -> np.ndarray:
  """The first frame of a clip, [H, W, C] in [-1, 1]."""
  from internal_diffusion.data import clip_io

  return clip_io.read_first_frame(path)


def copy_in(path: pathlib.Path, folder: pathlib.Path) -> str:
  """Copies a file under a name that a command line can hold.

  Args:
    path: File that a person gave.
    folder: Folder to copy it to.

  Returns:
    Its name in the folder; never that of another file there.
  """
  check_file(path)
  stem = re.sub(r'[^\w-]+', '_', path.stem).strip('_') or 'picture'
  stem = stem[:80].lstrip('-') or 'picture'
  ending = re.sub(r'[^\w.]', '', path.suffix.lower())
  name, number = f'{stem}{ending}', 1
  while (folder / name).exists():
    number += 1
    name = f'{stem}_{number}{ending}'
  shutil.copyfile(path, folder / name)
  return name


def write_mask(
  layer: np.ndarray, path: pathlib.Path, *, size: tuple[int, int] | None
) -> bool:
  """Writes what was painted on a picture as a mask, white where painted.

  Args:
    layer: Painted layer, uint8 [H, W, 4]; alpha says where.
    path: Output path.
    size: Height and width of the mask; None is those of the layer.

  Returns:
    Whether anything was painted; nothing is written otherwise.
  """
  from internal_diffusion.data import image_io, masks

  painted = layer[..., 3] > 127
  if not painted.any():
    return False
  if size is not None:
    painted = masks.resize_mask(painted, size)
  image_io.write_image(path, np.where(painted[..., None], 1.0, -1.0))
  return True


def picture_size(
  path: pathlib.Path, *, is_clip: bool = False
) -> tuple[int, int] | None:
  """Height and width of what `preview` shows of a file; None for an array."""
  from internal_diffusion.data import image_io

  if path.suffix.lower() in _ARRAYS:
    return None
  if is_clip:
    height, width = _first_frame(path).shape[:2]
    return height, width
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    height, width = image_io.read_image_with_alpha(path)[0].shape[:2]
  return height, width
