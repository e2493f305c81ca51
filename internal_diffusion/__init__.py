"""Internal learning with diffusion models, from one image, in JAX and Flax.

Every use learns a model from one image, or prepares one, and applies it:

  image = read_image('photo.png', max_side=250)
  model = learn_patches(image, workdir='runs/photo')
  found = sample_patches(key, model, num=64)

  upscaler = learn_upscaler(image)
  larger = upscale(key, upscaler, image, factor=2, num_samples=8)

  restored = restore(key, noisy_image)

  prior = make_image_prior(image)
  new_image = generate(key, prior)[0]
"""

from internal_diffusion.applications.flow import (
  FlowModel,
  FlowOptions,
  estimate_flow,
  learn_flow,
)
from internal_diffusion.applications.images import (
  ImagePrior,
  generate,
  make_image_prior,
)
from internal_diffusion.applications.measurement import (
  MeasurementModel,
  MeasurementOptions,
  learn_measurement,
  measure,
)
from internal_diffusion.applications.patches import (
  PatchModel,
  PatchOptions,
  learn_patches,
  sample_patches,
)
from internal_diffusion.applications.restoration import (
  Restored,
  RestoreOptions,
  restore,
)
from internal_diffusion.applications.super_resolution import (
  UpscaleOptions,
  Upscaler,
  learn_upscaler,
  upscale,
)
from internal_diffusion.data.image_io import read_image, write_grid, write_image
from internal_diffusion.data.patches import average_patches, extract_patches
from internal_diffusion.data.pyramid import build_pyramid
from internal_diffusion.options import replace
from internal_diffusion.sampling.api import make_sample_fn
from internal_diffusion.training.model_files import load, save
from internal_diffusion.types import Condition, Denoiser
from internal_diffusion.version import __version__

__all__ = [
  'Condition',
  'Denoiser',
  'FlowModel',
  'FlowOptions',
  'ImagePrior',
  'MeasurementModel',
  'MeasurementOptions',
  'PatchModel',
  'PatchOptions',
  'RestoreOptions',
  'Restored',
  'UpscaleOptions',
  'Upscaler',
  '__version__',
  'average_patches',
  'build_pyramid',
  'estimate_flow',
  'extract_patches',
  'generate',
  'learn_flow',
  'learn_measurement',
  'learn_patches',
  'learn_upscaler',
  'load',
  'make_image_prior',
  'make_sample_fn',
  'measure',
  'read_image',
  'replace',
  'restore',
  'sample_patches',
  'save',
  'upscale',
  'write_grid',
  'write_image',
]
