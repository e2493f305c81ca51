"""Models of the patches of one image: learn one, then sample from it."""

from internal_diffusion.applications.patches.inference import (
  GeneratedPatches,
  sample_patches,
  sample_vectors,
)
from internal_diffusion.applications.patches.options import (
  Distributions,
  PatchOptions,
  cascade_options,
  delta_given_pair_options,
  joint_options,
  target_given_source_options,
)
from internal_diffusion.applications.patches.training import (
  PatchModel,
  learn_patches,
)

__all__ = [
  'Distributions',
  'GeneratedPatches',
  'PatchModel',
  'PatchOptions',
  'cascade_options',
  'delta_given_pair_options',
  'joint_options',
  'learn_patches',
  'sample_patches',
  'sample_vectors',
  'target_given_source_options',
]
