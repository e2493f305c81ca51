"""Internal learning with diffusion models, from one image, in JAX and Flax.

The four lines of the README:

  image = read_image('photo.png', max_side=250)
  train(image, config, 'runs/photo')
  model = load_model('runs/photo')
  patches = generate_patches(key, model, make_model_sample_fn(model), num=64)
"""

from internal_diffusion.applications.model_sampling import (
  make_model_sample_fn,
)
from internal_diffusion.applications.patch_generation import generate_patches
from internal_diffusion.data.image_io import read_image, write_grid, write_image
from internal_diffusion.data.patches import average_patches, extract_patches
from internal_diffusion.data.pyramid import build_pyramid
from internal_diffusion.sampling.api import make_sample_fn
from internal_diffusion.training.loop import train
from internal_diffusion.training.restore import load_model
from internal_diffusion.types import Condition, DenoiseFn

__all__ = [
  'Condition',
  'DenoiseFn',
  'average_patches',
  'build_pyramid',
  'extract_patches',
  'generate_patches',
  'load_model',
  'make_model_sample_fn',
  'make_sample_fn',
  'read_image',
  'train',
  'write_grid',
  'write_image',
]
