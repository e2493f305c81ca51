"""Report of generated patches against real ones, with a real control set."""

from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from tqdm import tqdm

from internal_diffusion.evaluation import distances, memorization
from internal_diffusion.evaluation import patch_two_sample as two_sample
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

# Patches whose nearest neighbours are searched.
_MAX_QUERIES = 2048
_NEAREST = 'nearest_distance_median'


@with_own_settings
def compare_patches(
  key: Array,
  generated: ArrayLike,
  reference: ArrayLike,
  control: ArrayLike,
  *,
  training: ArrayLike | None = None,
  progress: bool = False,
) -> dict[str, Any]:
  """Compares generated with real patches, and a real control set with them.

  The control set stands for a perfect generator: real patches drawn like the
  reference, at other positions. Compare each figure of `generated` with that of
  `control`. A distance slightly below the control's is chance; nearest
  distances far below it, and a fraction of copies above it, mean copying.

  Draw reference and control at random from the whole photograph, not from two
  halves, which have different distributions. The control may contain training
  patches: its distances to them exclude the patch itself. Invalid sets raise
  `ValueError`.

  Args:
    key: Key of all random choices.
    generated: Generated patches, [N, P, P, C] or [N, D], N at least 128.
    reference: Real patches of the same shape.
    control: Other real patches of the same shape.
    training: All training patches, [M, ...]; None is the reference.
    progress: Whether to show a progress bar.

  Returns:
    Numbers and lists for JSON: `num_patches`, `patch_dim`, `num_training`; the
    figures of `generated` and `control`; and `ratios` of some of them,
    generated over control, None where the control's is 0. The figures:

    - c2st_accuracy, c2st_standard_error: `perceptron_two_sample_test`.
    - boosted_trees_accuracy: `boosted_trees_two_sample_test`.
    - sliced_wasserstein: `distances.sliced_wasserstein`.
    - mmd_squared, mmd_null_std: `distances.mmd_squared`, with bandwidths of the
      reference.
    - variance_ratios: `distances.principal_variance_ratios`, a list.
    - variance_log_rms: Root mean square of their logarithms; 0 is perfect.
    - nearest_distance_median: Median of `memorization.nearest_distances` over
      the first 2048 patches.
    - copy_fraction: Fraction of copies, `memorization.is_copy`.
  """
  made, real, other = distances.as_vectors(
    generated=generated,
    reference=reference,
    control=control,
    min_patches=two_sample.MIN_PATCHES,
  )
  distances.check_same_size(generated=made, reference=real, control=other)
  _, bank = distances.as_vectors(
    reference=real, training=real if training is None else training
  )

  figures = {}
  for name, patches in tqdm(
    {'generated': made, 'control': other}.items(),
    desc='comparing',
    disable=not progress,
  ):
    figures[name] = {
      **_classifier_figures(key, patches, real),
      **_distance_figures(key, patches, real),
      **_copy_figures(patches, bank, is_real=name == 'control'),
    }
  ours, theirs = figures['generated'], figures['control']
  ratios = {
    name: ours[name] / theirs[name] if theirs[name] else None
    for name in ('sliced_wasserstein', 'variance_log_rms', _NEAREST)
  }
  return {
    'num_patches': len(real),
    'patch_dim': real.shape[1],
    'num_training': len(bank),
    **figures,
    'ratios': ratios,
  }


def _classifier_figures(
  key: Array, patches: np.ndarray, reference: np.ndarray
) -> dict[str, Any]:
  perceptron = two_sample.perceptron_two_sample_test(key, patches, reference)
  trees = two_sample.boosted_trees_two_sample_test(key, patches, reference)
  return {
    'c2st_accuracy': perceptron.accuracy,
    'c2st_standard_error': perceptron.standard_error,
    'boosted_trees_accuracy': trees.accuracy,
  }


def _distance_figures(
  key: Array, patches: np.ndarray, reference: np.ndarray
) -> dict[str, Any]:
  mmd = distances.mmd_squared(
    patches, reference, bandwidths=distances.median_bandwidths(reference)
  )
  ratios = distances.principal_variance_ratios(patches, reference)
  # The bound keeps a component without variance finite.
  logs = np.log(np.maximum(ratios, 1e-12))
  return {
    'sliced_wasserstein': distances.sliced_wasserstein(key, patches, reference),
    'mmd_squared': mmd.value,
    'mmd_null_std': mmd.null_std,
    'variance_ratios': ratios.tolist(),
    'variance_log_rms': float(np.sqrt(np.mean(logs**2))),
  }


def _copy_figures(
  patches: np.ndarray, training: np.ndarray, *, is_real: bool
) -> dict[str, Any]:
  nearest = memorization.nearest_distances(
    patches[:_MAX_QUERIES], training, leave_one_out=is_real
  )
  return {
    _NEAREST: float(np.median(nearest.first)),
    'copy_fraction': float(np.mean(memorization.is_copy(nearest))),
  }
