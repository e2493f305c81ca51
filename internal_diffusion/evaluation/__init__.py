"""Figures of merit of generated patches and images, flows and uncertainties.

Example:
  >>> import numpy as np
  >>> from internal_diffusion.evaluation import psnr
  >>> round(psnr(np.zeros((4, 4, 1)), np.full((4, 4, 1), 0.2)), 6)
  20.0
"""

from internal_diffusion.evaluation.calibration import (
  bounds_coverage,
  crps,
  gaussian_coverage,
  gaussian_log_likelihood,
  interval_coverage,
  reliability,
)
from internal_diffusion.evaluation.clip_statistics import (
  clip_sliced_wasserstein,
  compare_clips,
  field_diversity,
  flicker,
  nearest_field,
)
from internal_diffusion.evaluation.distances import (
  median_bandwidths,
  mmd_squared,
  principal_variance_ratios,
  sliced_wasserstein,
)
from internal_diffusion.evaluation.fidelity import psnr, ssim
from internal_diffusion.evaluation.flow_error import (
  angular_error,
  endpoint_error,
  flow_errors,
  textured,
)
from internal_diffusion.evaluation.flow_report import judge_flow
from internal_diffusion.evaluation.frechet import frechet_distance
from internal_diffusion.evaluation.image_report import compare_images
from internal_diffusion.evaluation.memorization import (
  is_copy,
  nearest_distances,
)
from internal_diffusion.evaluation.nearest_patches import find_nearest_patches
from internal_diffusion.evaluation.patch_report import compare_patches
from internal_diffusion.evaluation.patch_statistics import (
  copied_fraction,
  detail_ratios,
  multiscale_sliced_wasserstein,
  neighbour_diversity,
  pixel_diversity,
)
from internal_diffusion.evaluation.patch_two_sample import (
  boosted_trees_two_sample_test,
  perceptron_two_sample_test,
)
from internal_diffusion.evaluation.sparsification import (
  rank_correlation,
  sparsification_curves,
)

__all__ = [
  'angular_error',
  'boosted_trees_two_sample_test',
  'bounds_coverage',
  'clip_sliced_wasserstein',
  'compare_clips',
  'compare_images',
  'compare_patches',
  'copied_fraction',
  'crps',
  'detail_ratios',
  'endpoint_error',
  'field_diversity',
  'find_nearest_patches',
  'flicker',
  'flow_errors',
  'frechet_distance',
  'gaussian_coverage',
  'gaussian_log_likelihood',
  'interval_coverage',
  'is_copy',
  'judge_flow',
  'median_bandwidths',
  'mmd_squared',
  'multiscale_sliced_wasserstein',
  'nearest_distances',
  'nearest_field',
  'neighbour_diversity',
  'perceptron_two_sample_test',
  'pixel_diversity',
  'principal_variance_ratios',
  'psnr',
  'rank_correlation',
  'reliability',
  'sliced_wasserstein',
  'sparsification_curves',
  'ssim',
  'textured',
]
