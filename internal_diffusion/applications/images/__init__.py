"""Whole images from the patches of one image.

prior = make_image_prior(image)
levels = generate(key, prior)
"""

from internal_diffusion.applications.images.cascade import make_cascade_prior
from internal_diffusion.applications.images.inference import generate
from internal_diffusion.applications.images.mixture import make_mixture_prior
from internal_diffusion.applications.images.options import (
  GenerateOptions,
  LevelDenoiser,
)
from internal_diffusion.applications.images.prior import (
  ImagePrior,
  make_image_prior,
)
from internal_diffusion.applications.images.recipe import make_recipe
from internal_diffusion.applications.images.source_map import find_sources
from internal_diffusion.sampling.coarse_to_fine import Start

__all__ = [
  'GenerateOptions',
  'ImagePrior',
  'LevelDenoiser',
  'Start',
  'find_sources',
  'generate',
  'make_cascade_prior',
  'make_image_prior',
  'make_mixture_prior',
  'make_recipe',
]
