"""Generated images against the one image they were learnt from, as a report."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.evaluation.image_diversity import (
  check_varies,
  neighbour_diversity,
  pixel_diversity,
)
from internal_diffusion.evaluation.nearest_patches import (
  check_images,
  nearest_patches,
)
from internal_diffusion.evaluation.patch_statistics import (
  copied_share,
  detail_ratios,
  multiscale_sliced_wasserstein,
)

Array = jax.Array


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
    key: Key of the projections; the same key gives the same figures.
    generated: Images [H, W, C] in [-1, 1], of any sizes.
    reference: [H, W, C] in [-1, 1].
    patch_size: P, odd.
    num_projections: Number of random directions of the Wasserstein distance.
    query_stride: Of how many patches one looks for its nearest.
    progress: Whether to show progress bars.

  Returns:
    Plain numbers, fit for JSON: `images`, a list of the figures of each image,
    and `mean`, their means. Several images of one size have also
    `pixel_diversity` and `neighbour_diversity`. The figures:

    sliced_wasserstein: `multiscale_sliced_wasserstein`; 0 is perfect.
    coherence, completeness: The functions of these names; 0 is perfect.
    detail_level_0, _1, _2: `detail_ratios`, finest first; 1 is perfect.
    copied_share: The function of this name; 1 is a copy.

  Raises:
    ValueError: If an argument is not as said above, or the reference is of one
      colour.
  """
  made, real = check_images(generated, reference, patch_size=patch_size)
  check_varies(real)
  arrays.check_positive_int('num_projections', num_projections)
  arrays.check_positive_int('query_stride', query_stride)
  figures, fields = [], []
  for image in tqdm(
    made, desc='comparing', disable=not progress or len(made) == 1
  ):
    nearest, reverse = (
      nearest_patches(
        *pair,
        patch_size=patch_size,
        query_stride=query_stride,
        progress=progress,
      )
      for pair in ((image, real), (real, image))
    )
    figures.append(
      {
        'sliced_wasserstein': multiscale_sliced_wasserstein(
          key,
          image,
          real,
          patch_size=patch_size,
          num_projections=num_projections,
        ),
        'coherence': float(np.mean(nearest.distance)),
        'completeness': float(np.mean(reverse.distance)),
        **_named_details(detail_ratios(image, real)),
        'copied_share': copied_share(
          nearest, image, real, patch_size=patch_size
        ),
      }
    )
    fields.append(nearest)
  result: dict[str, Any] = {'images': figures, 'mean': _means(figures)}
  if len(made) > 1 and len({image.shape for image in made}) == 1:
    result['pixel_diversity'] = pixel_diversity(made, real)
    result['neighbour_diversity'] = neighbour_diversity(fields)
  return result


def _named_details(ratios: list[float]) -> dict[str, float]:
  return {f'detail_level_{level}': x for level, x in enumerate(ratios)}


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
  return {
    name: float(np.mean([figure[name] for figure in figures]))
    for name in figures[0]
  }
