"""Noise processes, predictions, losses and guidance of diffusion models.

Example:
  >>> from internal_diffusion.diffusion import karras_sigmas
  >>> karras_sigmas(18).shape
  (19,)
"""

from internal_diffusion.diffusion.bridges import (
  bridge_loss,
  bridge_state,
  entropic_plan,
)
from internal_diffusion.diffusion.conditioning import (
  augment_condition,
  draw_sigma_aug,
  drop_condition,
  give_parts,
)
from internal_diffusion.diffusion.consistency import (
  ConsistencyModel,
  consistency_fn,
  consistency_loss,
)
from internal_diffusion.diffusion.guidance import (
  classifier_free_guidance,
  classifier_guidance,
  dynamic_threshold,
  dynamic_thresholding,
)
from internal_diffusion.diffusion.losses import (
  denoising_loss,
  edm_weight,
  ladder_sigma,
  lognormal_sigma,
  loguniform_sigma,
  process_sigma,
  score_matching_loss,
  snr_weight,
  stratified_uniform,
  uniform_weight,
  wiener_weight,
)
from internal_diffusion.diffusion.preconditioning import (
  Coefficients,
  apply_coefficients,
  edm_coefficients,
  process_coefficients,
)
from internal_diffusion.diffusion.predictions import (
  eps_to_x0,
  score_to_x0,
  v_to_x0,
  velocity_to_x0,
  x0_to_eps,
  x0_to_score,
  x0_to_v,
  x0_to_velocity,
  x0_to_x0,
)
from internal_diffusion.diffusion.processes import (
  NoiseProcess,
  add_noise,
  edm_process,
  flow_process,
  from_unit_scale,
  noise_level,
  sub_vp_process,
  to_unit_scale,
  ve_process,
  vp_cosine_process,
  vp_linear_process,
)
from internal_diffusion.diffusion.schedules import (
  cosine_sigmas,
  exponential_sigmas,
  karras_sigmas,
  linear_sigmas,
  process_sigmas,
)
from internal_diffusion.diffusion.sdes import drift_and_diffusion

__all__ = [
  'Coefficients',
  'ConsistencyModel',
  'NoiseProcess',
  'add_noise',
  'apply_coefficients',
  'augment_condition',
  'bridge_loss',
  'bridge_state',
  'classifier_free_guidance',
  'classifier_guidance',
  'consistency_fn',
  'consistency_loss',
  'cosine_sigmas',
  'denoising_loss',
  'draw_sigma_aug',
  'drift_and_diffusion',
  'drop_condition',
  'dynamic_threshold',
  'dynamic_thresholding',
  'edm_coefficients',
  'edm_process',
  'edm_weight',
  'entropic_plan',
  'eps_to_x0',
  'exponential_sigmas',
  'flow_process',
  'from_unit_scale',
  'give_parts',
  'karras_sigmas',
  'ladder_sigma',
  'linear_sigmas',
  'lognormal_sigma',
  'loguniform_sigma',
  'noise_level',
  'process_coefficients',
  'process_sigma',
  'process_sigmas',
  'score_matching_loss',
  'score_to_x0',
  'snr_weight',
  'stratified_uniform',
  'sub_vp_process',
  'to_unit_scale',
  'uniform_weight',
  'v_to_x0',
  've_process',
  'velocity_to_x0',
  'vp_cosine_process',
  'vp_linear_process',
  'wiener_weight',
  'x0_to_eps',
  'x0_to_score',
  'x0_to_v',
  'x0_to_velocity',
  'x0_to_x0',
]
