"""A photograph's texture on a painting's layout (Meng et al. 2022, SDEdit).

The new picture begins with the painting and noise on it, at a pyramid level
that hides the painting's missing detail (`following`); from there on it is
made of the photograph's patches.
"""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.following import (
  make_start,
  match_palette,
)
from internal_diffusion.applications.images.inference import (
  check_size,
  generate,
)
from internal_diffusion.applications.images.prior import (
  build_levels,
  make_image_prior,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.operators import Size

Array = jax.Array

PATCH_SIZE = 9  # Small patches follow another picture's lines.
STRENGTH = 0.9
_NEAR = 0.05  # Mean distance of colours that a photograph has: 6 grey levels.


def paint(
  key: Array,
  image: np.ndarray,
  painting: np.ndarray,
  *,
  strength: float = STRENGTH,
  size: Size | None = None,
  num_samples: int = 4,
) -> Edited:
  """Makes a photograph of a painting, in the texture of another photograph.

  Args:
    key: One key.
    image: The photograph, [H, W, C] in [-1, 1].
    painting: A rough painting, or the photograph painted over, [h, w, C].
    strength: How closely the painting is followed, in [0, 1]; see `following`.
    size: (height, width) of the answers; None is the painting's.
    num_samples: Number K of answers.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  image = image_io.check_image(image)
  painting = image_io.check_image(painting, name='guide')
  if painting.shape[-1] != image.shape[-1]:
    raise ValueError(
      f'`guide`, the painting, has {painting.shape[-1]} channels, but the image'
      f' has {image.shape[-1]}; convert it.'
    )
  _check_smallest(image, painting.shape[:2], size)
  size = size or painting.shape[:2]
  check_size(size, image.shape[-1], patch_size=PATCH_SIZE)
  painting, is_matched = match_palette(
    painting, image, patch_size=PATCH_SIZE, near=_NEAR
  )
  start = make_start(painting, image, patch_size=PATCH_SIZE, strength=strength)
  prior = make_image_prior(image, patch_size=PATCH_SIZE)
  traces = [
    generate(own, prior, size=size, start=start)
    for own in jax.random.split(key, num_samples)
  ]
  found = {
    'strength': strength,
    'colours': 'matched to the image' if is_matched else 'as painted',
    'level': None if start is None else start.level,
    'noise': None if start is None else round(start.sigma, 4),
  }
  return from_samples(
    np.stack([levels[0] for levels in traces]), found
  )._replace(traces=traces)


def _check_smallest(
  image: np.ndarray, of_painting: Size, size: Size | None
) -> None:
  """Raises ValueError if a patch does not fit the answers' coarsest level."""
  halvings = len(build_levels(image, patch_size=PATCH_SIZE)) - 1
  smallest = (PATCH_SIZE - 1) * 2**halvings + 1
  name = '`size`' if size else '`guide`, the painting,'
  height, width = size or of_painting
  if min(height, width) < smallest:
    raise ValueError(
      f'{name} is {height}x{width}; with an image of'
      f' {image.shape[0]}x{image.shape[1]} its sides must be at least'
      f' {smallest} pixels.'
    )
