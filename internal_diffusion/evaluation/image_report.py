"""Report of generated images against their reference image."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.evaluation import patch_statistics
from internal_diffusion.evaluation.nearest_patches import (
  check_images,
  find_nearest_patches,
)
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array


@with_own_settings
def compare_images(
  key: Array,
  generated: Sequence[ArrayLike],
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  num_projections: int = 128,
  query_stride: int = 3,
  progress: bool = False,
) -> dict[str, Any]:
  """All statistics of generated images against the reference.

  Args:
    key: Key of the projections.
    generated: Images, [H, W, C] in [-1, 1], of any sizes.
    reference: Reference image, [H, W, C] in [-1, 1], not constant.
    patch_size: Side P of a patch in pixels, odd.
    num_projections: Number of random directions of the Wasserstein distance.
    query_stride: Step between the patches whose nearest patch is searched.
    progress: Whether to show progress bars.

  Returns:
    Numbers for JSON: `images`, a list of the figures of each image, and `mean`,
    their means. For several images of one size also `pixel_diversity` and
    `neighbour_diversity`. The figures:

    sliced_wasserstein: `multiscale_sliced_wasserstein`; 0 is perfect.
    coherence, completeness: Functions of these names; 0 is perfect.
    detail_level_0, _1, _2: `detail_ratios`, finest first; 1 is perfect.
    copied_fraction: Function of this name; 1 is a copy.

  Raises:
    ValueError: If an argument is invalid.
  """
  made, real = check_images(generated, reference, patch_size=patch_size)
  patch_statistics.check_varies(real)
  arrays.check_positive_int('num_projections', num_projections)
  arrays.check_positive_int('query_stride', query_stride)
  figures, fields = [], []
  for image in tqdm(
    made, desc='comparing', disable=not progress or len(made) == 1
  ):
    nearest, reverse = (
      find_nearest_patches(
        *pair,
        patch_size=patch_size,
        query_stride=query_stride,
        progress=progress,
      )
      for pair in ((image, real), (real, image))
    )
    distance = patch_statistics.multiscale_sliced_wasserstein(
      key, image, real, patch_size=patch_size, num_projections=num_projections
    )
    ratios = patch_statistics.detail_ratios(image, real)
    copied = patch_statistics.copied_fraction(
      nearest, image, real, patch_size=patch_size
    )
    figures.append(
      {
        'sliced_wasserstein': distance,
        'coherence': float(np.mean(nearest.distance)),
        'completeness': float(np.mean(reverse.distance)),
        **{f'detail_level_{i}': ratio for i, ratio in enumerate(ratios)},
        'copied_fraction': copied,
      }
    )
    fields.append(nearest)
  means = {
    name: float(np.mean([figure[name] for figure in figures]))
    for name in figures[0]
  }
  result: dict[str, Any] = {'images': figures, 'mean': means}
  if len(made) > 1 and len({image.shape for image in made}) == 1:
    result['pixel_diversity'] = patch_statistics.pixel_diversity(made, real)
    result['neighbour_diversity'] = patch_statistics.neighbour_diversity(fields)
  return result
