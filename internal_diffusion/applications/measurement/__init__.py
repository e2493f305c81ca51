"""Measured displacement of particle images and speckle, with uncertainty."""

from internal_diffusion.applications.measurement.agreement import (
  correlation_of,
)
from internal_diffusion.applications.measurement.inference import (
  Measurement,
  measure,
)
from internal_diffusion.applications.measurement.kinds import Kind, find_kind
from internal_diffusion.applications.measurement.model import MeasurementModel
from internal_diffusion.applications.measurement.options import (
  MeasurementOptions,
)
from internal_diffusion.applications.measurement.training import (
  learn_measurement,
)
from internal_diffusion.applications.measurement.vectors import (
  Units,
  ensemble_mean,
  grid_vectors,
)

__all__ = [
  'Kind',
  'Measurement',
  'MeasurementModel',
  'MeasurementOptions',
  'Units',
  'correlation_of',
  'ensemble_mean',
  'find_kind',
  'grid_vectors',
  'learn_measurement',
  'measure',
]
