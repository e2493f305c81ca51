"""From options to everything that `generate` needs."""

from typing import NamedTuple

import jax
import numpy as np

from internal_diffusion.applications.images import cascade, inference
from internal_diffusion.applications.images.mixture import make_mixture_prior
from internal_diffusion.applications.images.options import (
  GenerateOptions,
  LevelDenoiser,
  Mode,
  Symmetry,
)
from internal_diffusion.applications.images.prior import (
  PATCH_SIZE,
  ImagePrior,
  make_image_prior,
  max_levels,
)
from internal_diffusion.applications.patches import PatchModel
from internal_diffusion.data.image_io import bound_side
from internal_diffusion.data.operators import Size
from internal_diffusion.sampling.coarse_to_fine import Start

# Smaller patches follow the lines of another picture more closely.
_PATCH_SIZE_OF_STRUCTURE = 9
_RETARGET_SIGMA, _STRUCTURE_SIGMA = 0.8, 0.4


class Recipe(NamedTuple):
  """Arguments of `generate`: the prior, the (H, W) and the start."""

  prior: ImagePrior
  size: Size
  start: Start | None


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
    model: Learned model of the image; None is `options.denoiser`.

  Raises:
    ValueError: If the image or an option is not valid.
  """
  if model is not None and options.symmetric is not Symmetry.NONE:
    raise ValueError(
      '`symmetric` needs mirrored patches, which a trained model has not seen;'
      ' leave `workdir` out.'
    )
  is_mixture = options.denoiser is LevelDenoiser.GAUSSIAN_MIXTURE
  if model is not None and is_mixture:
    raise ValueError(
      '`denoiser=gaussian_mixture` and `workdir` exclude each other: both give'
      ' the denoiser.'
    )
  size = options.size
  patch_size = PATCH_SIZE if model is not None else options.patch_size
  if structure is not None:
    structure = bound_side(structure, max_side=max(image.shape[:2]))
    size = size or structure.shape[:2]
    patch_size = patch_size or _PATCH_SIZE_OF_STRUCTURE
  size = size or image.shape[:2]
  patch_size = patch_size or PATCH_SIZE
  # Before the prior, which takes time.
  inference.check_size(size, image.shape[-1], patch_size=patch_size)
  is_retargeted = options.mode is Mode.RETARGET
  if model is not None:
    prior = cascade.make_cascade_prior(model, image)
  else:
    smallest = min(*image.shape[:2], *size)
    num_levels = (
      max_levels(smallest, patch_size=patch_size) if is_retargeted else None
    )
    if is_mixture:
      # A key of its own, so the prior depends on the image alone.
      prior = make_mixture_prior(
        jax.random.key(0), image, patch_size=patch_size, num_levels=num_levels
      )
    else:
      prior = make_image_prior(
        image,
        patch_size=patch_size,
        num_levels=num_levels,
        mirrored=options.symmetric.axis,
      )
  start = None
  if structure is not None:
    start = Start(
      match_colours(structure, image),
      options.start_sigma or _STRUCTURE_SIGMA,
      prior.layout_level(size),
    )
  elif is_retargeted:
    start = Start(image, options.start_sigma or _RETARGET_SIGMA)
  return Recipe(prior, size, start)


def match_colours(picture: np.ndarray, image: np.ndarray) -> np.ndarray:
  """A picture with the mean and contrast of an image, channel by channel."""
  mean, std = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))
  scaled = (picture - mean) / np.maximum(std, 1e-3)
  matched = scaled * image.std(axis=(0, 1)) + image.mean(axis=(0, 1))
  return matched.clip(-1, 1).astype(np.float32)
