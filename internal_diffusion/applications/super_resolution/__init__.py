"""Super-resolution: learn it from one image, then upscale the image."""

from internal_diffusion.applications.super_resolution.inference import (
  Upscaled,
  upscale,
)
from internal_diffusion.applications.super_resolution.model import Upscaler
from internal_diffusion.applications.super_resolution.options import (
  BlockDenoiser,
  Preset,
  UpscaleOptions,
)
from internal_diffusion.applications.super_resolution.training import (
  learn_upscaler,
)
from internal_diffusion.applications.super_resolution.uncertainty import (
  Uncertainty,
  estimate_uncertainty,
)

__all__ = [
  'BlockDenoiser',
  'Preset',
  'Uncertainty',
  'UpscaleOptions',
  'Upscaled',
  'Upscaler',
  'estimate_uncertainty',
  'learn_upscaler',
  'upscale',
]
