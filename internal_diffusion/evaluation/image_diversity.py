"""How far several generated images differ from each other.

  pixel diversity      in their pixels (Shaham et al. 2019, SinGAN)
  neighbour diversity  in the places they take patches from

Images are floats [H, W, C] in [-1, 1].
"""

from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.evaluation.nearest_patches import (
  NearestPatches,
  check_images,
)


def pixel_diversity(
  generated: Sequence[ArrayLike], reference: ArrayLike
) -> float:
  """How much a pixel varies over generated images, in units of the reference.

  The standard deviation of a pixel's grey over the images, its mean over the
  pixels, divided by the standard deviation of the reference's pixels.

  Args:
    generated: Two or more images [H, W, C] in [-1, 1] of one size.
    reference: [H, W, C] in [-1, 1], of any size.

  Returns:
    0 for equal images; about 1 for pixels that are drawn from the reference at
    random, and below that for few images, whose standard deviation is small.

  Raises:
    ValueError: If an argument is not as said above, or the reference is of one
      colour.
  """
  made, real = check_images(generated, reference, patch_size=1)
  check_varies(real)
  _check_several(len(made))
  sizes = sorted({image.shape[:2] for image in made})
  if len(sizes) > 1:
    raise ValueError(
      f'`generated` must hold images of one size, got sizes {sizes}.'
    )
  deviation = np.std([_grey(image) for image in made], axis=0)
  return float(np.mean(deviation) / np.std(_grey(real)))


def neighbour_diversity(fields: Sequence[NearestPatches]) -> float:
  """How much the places that images take their patches from differ.

  Of each pair of images and each patch: whether the nearest patches in the
  reference lie more than one pixel apart, along either axis. In flat areas
  noise alone makes them so; a small shift of all pixels' values does not.

  Args:
    fields: What `nearest_patches` gave for two or more images of one size,
      with one reference and one stride.

  Returns:
    The mean over pairs and patches, in [0, 1]: 0 for images that are alike, 1
    where no two have a place in common.

  Raises:
    ValueError: If there are fewer than two, or their patches do not lie at the
      same places.
  """
  _check_several(len(fields))
  if not all(np.array_equal(f.query, fields[0].query) for f in fields):
    raise ValueError(
      '`fields` must have the same `query`: images of one size, one stride.'
    )
  positions = np.stack([field.position for field in fields])
  shares = [
    np.mean(np.abs(positions[first] - positions[second]).max(axis=1) > 1)
    for first in range(len(fields))
    for second in range(first)
  ]
  return float(np.mean(shares))


def _check_several(num: int) -> None:
  if num < 2:
    raise ValueError(f'A diversity needs at least two images, got {num}.')


def check_varies(reference: np.ndarray) -> None:
  """Raises ValueError for an image [H, W, C] of one colour."""
  if np.ptp(_grey(reference)) == 0:
    raise ValueError('`reference` must vary, got an image of one colour.')


def _grey(image: np.ndarray) -> np.ndarray:
  return image.astype(np.float64).mean(axis=-1)
