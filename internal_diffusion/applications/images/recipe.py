"""From options to everything that `generate` needs."""

from typing import NamedTuple

import jax
import numpy as np

from internal_diffusion.applications.images.cascade import make_cascade_prior
from internal_diffusion.applications.images.inference import (
  check_arguments,
  generate,
)
from internal_diffusion.applications.images.options import (
  GenerateOptions,
  Mode,
  Symmetry,
)
from internal_diffusion.applications.images.prior import (
  ImagePrior,
  make_image_prior,
  max_levels,
)
from internal_diffusion.applications.patches import PatchModel
from internal_diffusion.data.image_io import bound_side
from internal_diffusion.data.operators import Size
from internal_diffusion.sampling.coarse_to_fine import Start

Array = jax.Array

_PATCH_SIZE = 15
# Smaller patches follow the lines of another picture more closely.
_PATCH_SIZE_OF_STRUCTURE = 9
_RETARGET_SIGMA, _STRUCTURE_SIGMA = 0.8, 0.4


class Recipe(NamedTuple):
  """A prior and what its images are made with.

  Attributes:
    prior: Prior of the images.
    size: (H, W) of new images.
    start: Picture to begin with, or None.
    options: Options of the run.
  """

  prior: ImagePrior
  size: Size
  start: Start | None
  options: GenerateOptions

  def generate(self, key: Array) -> list[np.ndarray]:
    """A new image at all levels, finest first; see `inference.generate`."""
    return generate(
      key,
      self.prior,
      size=self.size,
      start=self.start,
      constraints=self.options.constraints,
      num_steps=self.options.num_steps,
    )


def make_recipe(
  image: np.ndarray,
  options: GenerateOptions,
  *,
  structure: np.ndarray | None = None,
  model: PatchModel | None = None,
) -> Recipe:
  """Makes the prior of an image and the start that options ask for.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    options: Options of the run.
    structure: The picture `options.structure`, [h, w, C].
    model: Learned model of the image; None is the closed form.

  Raises:
    ValueError: If the image or an option is not valid.
  """
  if model is not None and options.symmetric is not Symmetry.NONE:
    raise ValueError(
      '`symmetric` needs mirrored patches, which a trained model has not seen;'
      ' leave `workdir` out.'
    )
  size = options.size
  if structure is not None:
    structure = bound_side(structure, max_side=max(image.shape[:2]))
    size = size or structure.shape[:2]
  size = size or image.shape[:2]
  prior = _make_prior(image, size, options, model)
  start = None
  if structure is not None:
    start = Start(
      match_colours(structure, image),
      options.start_sigma or _STRUCTURE_SIGMA,
      prior.layout_level(size),
    )
  elif options.mode is Mode.RETARGET:
    start = Start(image, options.start_sigma or _RETARGET_SIGMA)
  check_arguments(prior, size, start, options.constraints)
  return Recipe(prior, size, start, options)


def _make_prior(
  image: np.ndarray,
  size: Size,
  options: GenerateOptions,
  model: PatchModel | None,
) -> ImagePrior:
  if model is not None:
    return make_cascade_prior(model, image)
  patch_size = options.patch_size
  if patch_size is None:
    has_structure = options.structure is not None
    patch_size = _PATCH_SIZE_OF_STRUCTURE if has_structure else _PATCH_SIZE
  num_levels = None
  if options.mode is Mode.RETARGET:
    smallest = min(*image.shape[:2], *size)
    num_levels = max_levels(smallest, patch_size=patch_size)
  return make_image_prior(
    image,
    patch_size=patch_size,
    num_levels=num_levels,
    mirrored=options.symmetric.axis,
  )


def match_colours(picture: np.ndarray, image: np.ndarray) -> np.ndarray:
  """A picture with the mean and contrast of an image, channel by channel."""
  mean, std = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))
  scaled = (picture - mean) / np.maximum(std, 1e-3)
  matched = scaled * image.std(axis=(0, 1)) + image.mean(axis=(0, 1))
  return matched.clip(-1, 1).astype(np.float32)
