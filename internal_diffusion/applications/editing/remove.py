"""Removal of what a mask covers, and of its soft border."""

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion.applications.editing.edited import Edited
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.data.masks import check_mask

Array = jax.Array

_GROW = 1 / 128  # Pixels to grow by, over the picture's longer side.


def default_grow(size: tuple[int, int]) -> int:
  """Pixels by which `remove` grows a mask if it is not told: 4 of 512."""
  return max(1, round(_GROW * max(size)))


def check_grow(grow: int) -> None:
  """Raises ValueError unless a number of pixels is whole and 0 or more."""
  if isinstance(grow, bool) or not isinstance(grow, int) or grow < 0:
    raise ValueError(f'`grow` must be a whole number, 0 or more, got {grow!r}.')


def grow_mask(mask: np.ndarray, grow: int) -> np.ndarray:
  """The pixels of a mask [H, W], and those at most `grow` pixels from them."""
  if not grow:
    return mask
  return ndimage.distance_transform_edt(~mask) <= grow


def remove(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray,
  *,
  grow: int | None = None,
  num_samples: int = 4,
) -> Edited:
  """Removes what a mask covers, and fills the hole.

  Args:
    key: One key.
    image: [H, W, C] in [-1, 1].
    mask: True at what is to be removed, [H, W].
    grow: Pixels by which the mask is grown, to cover soft borders and shadows,
      0 or more; None is `default_grow`.
    num_samples: Number K of answers.

  Raises:
    ValueError: As `fill`, also if the grown mask leaves nothing.
  """
  size = np.shape(image)[:2]
  mask = check_mask(mask, size)
  if grow is None:
    grow = default_grow(size)
  check_grow(grow)
  grown = grow_mask(mask, grow)
  if grown.all():
    raise ValueError(
      f'`grow` {grow} grows the mask over the whole picture; give fewer pixels.'
    )
  edited = fill(key, image, grown, num_samples=num_samples)
  return edited._replace(found={**edited.found, 'grow': grow})
