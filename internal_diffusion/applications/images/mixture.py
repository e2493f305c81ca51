"""The prior of images with a mixture of Gaussians at all levels but the last.

A level's denoiser is a mixture of Gaussians of its patches, fitted by
expectation-maximisation and lifted to images; there is no other training. The
coarsest level keeps the closed form: it has too few patches for a mixture, and
its patches hold the layout.

A Gaussian knows which directions a patch may take and how far, but not which of
them occur together, and overlapping patches average what each of them invents.
So the images have the tone and the roughness of the image, but neither its
lines nor its flat ground: at 160 pixels, grass becomes moss, and a cup looks
knitted. This is a baseline, and of use for rough textures only; the closed
form, which copies its patches, looks like a photograph.
"""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.images import prior as prior_lib
from internal_diffusion.applications.images.prior import PATCH_SIZE, ImagePrior
from internal_diffusion.applications.restoration.mixture_prior import (
  fit_mixture_prior,
)
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.coarse_to_fine import Level

Array = jax.Array

_MIXTURE_PATCH_SIZE = 7
_STRIDE = 3  # Distance of denoised patches, in pixels.
_NOISE = 0.5 * 2 / 255  # Of the patches: half a grey level, for rounding.
_SIGMA_ON_ENLARGED, _STEP_FACTOR = 0.5, 1.0


@with_own_settings
def make_mixture_prior(
  key: Array,
  image: np.ndarray,
  *,
  patch_size: int = PATCH_SIZE,
  num_components: int = 60,
  num_levels: int | None = None,
) -> ImagePrior:
  """The prior of an image with mixtures of Gaussians of its patches.

  Args:
    key: Key of the mixtures' starts.
    image: [H, W, C] float32 in [-1, 1].
    patch_size: Side of the coarsest level's patches, odd; the mixtures' are 7
      pixels wide, or this if it is less.
    num_components: Number of Gaussians of a level; fewer for a small level.
    num_levels: Number of levels; see `prior.halved_sizes`.

  Raises:
    ValueError: If the image or an option is not valid.
  """
  arrays.check_positive_int('num_components', num_components)
  images = prior_lib.build_levels(
    image, patch_size=patch_size, num_levels=num_levels
  )
  levels = []
  for index, level in enumerate(images[:-1]):
    denoiser = fit_mixture_prior(
      jax.random.fold_in(key, index),
      jax.device_put(level),
      noise_std=_NOISE,
      patch_size=min(patch_size, _MIXTURE_PATCH_SIZE),
      num_components=num_components,
      stride=_STRIDE,
    )
    levels.append(Level(denoiser, _SIGMA_ON_ENLARGED, _STEP_FACTOR))
  coarsest = prior_lib.closed_form_level(images[-1], patch_size=patch_size)
  return ImagePrior(
    levels=(*levels, coarsest),
    tree=prior_lib.build_tree(images[0], patch_size=patch_size),
    size=images[0].shape[:2],
    num_channels=images[0].shape[2],
    patch_size=patch_size,
  )
