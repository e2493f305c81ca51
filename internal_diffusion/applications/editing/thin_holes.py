"""Thin holes, scratches and text: what is missing is determined.

Every patch that touches the hole has many known pixels, so the posterior

  p(x_missing | x_known)

is narrow. It is that of `restoration.inpaint`, with the pixels around each hole
as the observation, and samples of it differ little.
"""

import jax
import numpy as np

from internal_diffusion.applications.editing.work_areas import find_work_areas
from internal_diffusion.applications.restoration import inpaint

Array = jax.Array


def fill_thin(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray,
  thin: np.ndarray,
  *,
  num_samples: int,
) -> np.ndarray:
  """Fills a picture's thin holes.

  Args:
    key: One key.
    image: [H, W, C].
    mask: True at missing pixels, [H, W].
    thin: True at those of thin holes, [H, W].
    num_samples: Number K of fills.

  Returns:
    The posterior mean and K samples, [1 + K, H, W, C]; pixels outside the thin
    holes are those of the picture.
  """
  filled = np.repeat(image[None], num_samples + 1, axis=0)
  for index, area in enumerate(find_work_areas(thin)):
    found = inpaint(
      jax.random.fold_in(key, index),
      image[area],
      mask[area],
      num_samples=num_samples,
    )
    answers = np.concatenate([found.mean[None], found.samples])
    part = filled[:, *area]
    filled[:, *area] = np.where(thin[area][..., None], answers, part)
  return filled
