"""Models of the patches of one image: learn one, then sample from it."""

from internal_diffusion.applications.patches.evaluation import real_patches
from internal_diffusion.applications.patches.examples import draw_triplets
from internal_diffusion.applications.patches.inference import (
  GeneratedPatches,
  denoising_states,
  sample_patches,
  sample_vectors,
)
from internal_diffusion.applications.patches.options import (
  Distributions,
  PatchOptions,
  cascade_options,
  delta_given_pair_options,
  joint_options,
  patch_options,
  target_given_source_options,
)
from internal_diffusion.applications.patches.surprise import (
  Surprise,
  model_surprise_map,
  surprise_map,
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
  'Surprise',
  'cascade_options',
  'delta_given_pair_options',
  'denoising_states',
  'draw_triplets',
  'joint_options',
  'learn_patches',
  'model_surprise_map',
  'patch_options',
  'real_patches',
  'sample_patches',
  'sample_vectors',
  'surprise_map',
  'target_given_source_options',
]
