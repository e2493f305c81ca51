"""Filling of holes with the picture's own patches: several answers.

A wide hole may hold many things. Each of its pixels is copied from another
place of the picture, at an offset drawn from p(delta | source, target), the
posterior over the picture's own patches, from coarse to fine (`complete`). A
thin hole, a scratch or a letter, is determined by what is around it: there the
posterior of its pixels given the known ones is narrow (`thin_holes`).

Each hole is filled from its neighbourhood, so the time depends on the hole's
size and not on the picture's.
"""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.editing.complete import complete
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.thin_holes import fill_thin
from internal_diffusion.applications.editing.work_areas import (
  find_thin,
  find_work_areas,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.masks import check_mask
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array


@with_own_settings
def fill(
  key: Array, image: np.ndarray, mask: np.ndarray, *, num_samples: int = 4
) -> Edited:
  """Fills the holes of a picture; known pixels stay as they are.

  Args:
    key: One key.
    image: [H, W, C] in [-1, 1]; the values of hole pixels are not used.
    mask: True at the pixels to fill, [H, W].
    num_samples: Number K of answers; in each wide hole, those that join best
      come first, and in thin holes the first is the posterior mean.

  Raises:
    ValueError: If the picture or the mask is not valid, or the mask leaves no
      whole patch to learn from.
  """
  arrays.check_positive_int('num_samples', num_samples)
  mask = check_mask(mask, np.shape(image)[:2])
  image = image_io.check_image(np.where(mask[..., None], 0, image))
  samples = np.repeat(image[None], num_samples, axis=0)
  thin = find_thin(mask)
  keys = jax.random.split(key)
  if thin.any():
    filled = fill_thin(keys[0], image, mask, thin, num_samples=num_samples - 1)
    # What is around a wide hole is the same for all of its answers.
    image = np.where(thin[..., None], filled[0], image)
    samples = np.where(thin[..., None], filled, samples)
  wide = mask & ~thin
  areas = find_work_areas(wide)
  for index, area in enumerate(areas):
    hole = wide[area]
    filled = complete(
      jax.random.fold_in(keys[1], index),
      image[area],
      hole,
      num_samples=num_samples,
    )
    part = samples[:, *area]
    samples[:, *area] = np.where(hole[..., None], filled, part)
  found = {
    'missing': round(float(mask.mean()), 4),
    'thin': round(float(thin.mean()), 4),
    'work_areas': len(areas),
  }
  return from_samples(samples, found)
