"""Diversity of several generated images.

  pixel diversity      of their pixel values (Shaham et al. 2019, SinGAN)
  neighbour diversity  of the positions of their nearest patches

Images are floats [H, W, C] in [-1, 1]. Invalid arguments raise `ValueError`.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.evaluation.nearest_patches import (
  NearestPatches,
  check_images,
  grey,
)


def pixel_diversity(
  generated: Sequence[ArrayLike], reference: ArrayLike
) -> float:
  """Standard deviation of a pixel's grey value over several images.

  It is averaged over the pixels and divided by the standard deviation of the
  reference's pixels.

  Args:
    generated: Two or more images [H, W, C] in [-1, 1] of one size.
    reference: Reference image, [H, W, C] in [-1, 1], of any size, not constant.

  Returns:
    0 for equal images; about 1 for many images of pixels drawn at random from
    the reference, and less for few images.
  """
  made, real = check_images(generated, reference, patch_size=1)
  check_varies(real)
  _check_several(len(made))
  sizes = sorted({image.shape[:2] for image in made})
  if len(sizes) > 1:
    raise ValueError(
      f'`generated` must hold images of one size, got sizes {sizes}.'
    )
  stds = np.std([grey(image) for image in made], axis=0)
  return float(np.mean(stds) / np.std(grey(real)))


def neighbour_diversity(fields: Sequence[NearestPatches]) -> float:
  """Fraction of patches whose nearest reference patches differ in position.

  For each pair of images and each patch: whether the nearest patches in the
  reference are more than one pixel apart along either axis. In flat areas noise
  is enough to separate them; a small shift of all pixel values is not.

  Args:
    fields: `find_nearest_patches` results for two or more images of one size,
      with one reference and one stride.

  Returns:
    Mean over pairs and patches, in [0, 1]; 0 for equal images.
  """
  _check_several(len(fields))
  if not all(np.array_equal(f.query, fields[0].query) for f in fields):
    raise ValueError(
      '`fields` must have the same `query`: images of one size, one stride.'
    )
  positions = [field.position for field in fields]
  fractions = [
    np.mean(np.abs(first - second).max(axis=1) > 1)
    for first, second in itertools.combinations(positions, 2)
  ]
  return float(np.mean(fractions))


def _check_several(num: int) -> None:
  if num < 2:
    raise ValueError(f'Diversity needs at least two images, got {num}.')


def check_varies(reference: np.ndarray) -> None:
  """Raises ValueError for a constant image [H, W, C]."""
  if np.ptp(grey(reference)) == 0:
    raise ValueError('`reference` must vary, got an image of one colour.')
