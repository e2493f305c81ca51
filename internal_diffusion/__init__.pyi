from .applications.flow import (
  FlowModel,
  FlowOptions,
  estimate_flow,
  learn_flow,
)
from .applications.images import (
  ImagePrior,
  generate,
  make_image_prior,
)
from .applications.measurement import (
  MeasurementModel,
  MeasurementOptions,
  learn_measurement,
  measure,
)
from .applications.patches import (
  PatchModel,
  PatchOptions,
  learn_patches,
  sample_patches,
)
from .applications.restoration import (
  Restored,
  RestoreOptions,
  restore,
)
from .applications.super_resolution import (
  UpscaleOptions,
  Upscaler,
  learn_upscaler,
  upscale,
)
from .data.image_io import read_image, write_grid, write_image
from .data.patches import average_patches, extract_patches
from .data.pyramid import build_pyramid
from .options import replace
from .sampling.api import make_sample_fn
from .training.model_files import load, save
from .types import Condition, Denoiser
from .version import __version__

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
