"""Options of models that compile and train in seconds."""

from internal_diffusion.applications.super_resolution import UpscaleOptions
from internal_diffusion.applications.super_resolution.options import (
  RegressionOptions,
)


def options(**changes):
  values = {
    'num_steps': 250,
    'batch_size': 128,
    'num_devices': 1,
    'num_rounds': 1,
    'source_size': 5,
    'mean_network': RegressionOptions(width=64, depth=1),
    'scale_network': RegressionOptions(width=64, depth=1),
    'num_components': 4,
  }
  return UpscaleOptions(**{**values, **changes})
