"""Samplers over a path of noise levels, and constraints on what they sample.

Example:
  >>> import jax
  >>> from internal_diffusion.diffusion.schedules import karras_sigmas
  >>> from internal_diffusion.sampling import MirrorSymmetry, sample_heun
  >>> sigmas = karras_sigmas(5)
  >>> noise = jax.random.normal(jax.random.key(0), (1, 2, 2, 1))
  >>> x = sample_heun(
  ...   jax.random.key(1),
  ...   lambda x, sigma: x / (1 + sigma**2),
  ...   sigmas[0] * noise,
  ...   sigmas,
  ...   constraints=[MirrorSymmetry(axis=1)],
  ... )
  >>> bool(abs(x[:, :, 0] - x[:, :, 1]).max() < 1e-5)
  True
"""

from internal_diffusion.sampling.api import SampleFn, make_sample_fn
from internal_diffusion.sampling.bridges import bridge_sigmas, transport
from internal_diffusion.sampling.coarse_to_fine import Level, Start
from internal_diffusion.sampling.constraints import (
  Constraint,
  LinearObservation,
  LowBand,
  MirrorSymmetry,
  QuantisationCells,
  make_low_band,
)
from internal_diffusion.sampling.finite import NonFiniteStateError
from internal_diffusion.sampling.inversion import (
  decode,
  encode,
  spherical_interpolation,
)
from internal_diffusion.sampling.known_pixels import (
  KnownPixels,
  make_known_pixels,
)
from internal_diffusion.sampling.langevin import (
  langevin_step_size,
  sample_langevin,
  sample_predictor_corrector,
)
from internal_diffusion.sampling.likelihood import (
  DensityEstimate,
  bits_per_dimension,
  estimate_log_density,
  log_density,
)
from internal_diffusion.sampling.moments import mean_and_covariance
from internal_diffusion.sampling.samplers import (
  Sampler,
  sample_consistency,
  sample_ddim,
  sample_ddpm,
  sample_euler,
  sample_euler_maruyama,
  sample_heun,
)
from internal_diffusion.sampling.sde import (
  sample_reverse_diffusion,
  sample_reverse_sde,
  simulate_forward,
)
from internal_diffusion.sampling.wrapping import WrappedBorder

__all__ = [
  'Constraint',
  'DensityEstimate',
  'KnownPixels',
  'Level',
  'LinearObservation',
  'LowBand',
  'MirrorSymmetry',
  'NonFiniteStateError',
  'QuantisationCells',
  'SampleFn',
  'Sampler',
  'Start',
  'WrappedBorder',
  'bits_per_dimension',
  'bridge_sigmas',
  'decode',
  'encode',
  'estimate_log_density',
  'langevin_step_size',
  'log_density',
  'make_known_pixels',
  'make_low_band',
  'make_sample_fn',
  'mean_and_covariance',
  'sample_consistency',
  'sample_ddim',
  'sample_ddpm',
  'sample_euler',
  'sample_euler_maruyama',
  'sample_heun',
  'sample_langevin',
  'sample_predictor_corrector',
  'sample_reverse_diffusion',
  'sample_reverse_sde',
  'simulate_forward',
  'spherical_interpolation',
  'transport',
]
