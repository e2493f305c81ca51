"""Optical flow of two frames: learn a model of displacements, then apply it."""

from internal_diffusion.applications.flow.frames import smooth_grey
from internal_diffusion.applications.flow.inference import Flow, estimate_flow
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.options import (
  DisplacementDenoiser,
  FlowOptions,
  TrainOn,
)
from internal_diffusion.applications.flow.pixels import (
  PixelPosteriors,
  log_density,
  pixel_modes,
  sample_pixels,
)
from internal_diffusion.applications.flow.training import learn_flow

__all__ = [
  'DisplacementDenoiser',
  'Flow',
  'FlowModel',
  'FlowOptions',
  'PixelPosteriors',
  'TrainOn',
  'estimate_flow',
  'learn_flow',
  'log_density',
  'pixel_modes',
  'sample_pixels',
  'smooth_grey',
]
