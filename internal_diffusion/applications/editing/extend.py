"""A picture continued beyond its frame."""

import jax
import numpy as np

from internal_diffusion.applications.editing.edited import Edited
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.applications.images.inference import check_size
from internal_diffusion.data import image_io

Array = jax.Array


def extend(
  key: Array,
  image: np.ndarray,
  expand: tuple[int, int, int, int],
  *,
  num_samples: int = 4,
) -> Edited:
  """Adds rows and columns on any side; the picture itself stays as it is.

  Args:
    key: One key.
    image: [H, W, C] in [-1, 1].
    expand: Numbers of new pixels (top, right, bottom, left), 0 or more.
    num_samples: Number K of answers.

  Raises:
    ValueError: If the picture or `expand` is not valid.
  """
  image = image_io.check_image(image)
  sides = np.asarray(expand)
  if (
    sides.shape != (4,)
    or sides.dtype.kind not in 'iu'
    or (sides < 0).any()
    or not sides.any()
  ):
    raise ValueError(
      '`expand` must be four whole numbers (top, right, bottom, left), 0 or'
      f' more and not all 0, got {expand}.'
    )
  top, right, bottom, left = map(int, sides)
  around = ((top, bottom), (left, right))
  height, width = (
    side + sum(new) for side, new in zip(image.shape, around, strict=False)
  )
  check_size((height, width), image.shape[2], patch_size=1, asked='`expand` to')
  mask = np.pad(np.zeros(image.shape[:2], bool), around, constant_values=True)
  canvas = np.pad(image, (*around, (0, 0)))
  edited = fill(key, canvas, mask, num_samples=num_samples)
  return edited._replace(found={**edited.found, 'expand': [*map(int, sides)]})
