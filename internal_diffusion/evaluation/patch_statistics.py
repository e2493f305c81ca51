"""Statistics of generated images against the one image they were learnt from.

Images are floats [H, W, C] in [-1, 1]; a generated one may have another size
than the reference, and need not lie on it pixel by pixel. No learnt features:
an image counts as alike if its patches of P x P pixels are.

  sliced Wasserstein   whether the patches of both have one distribution
  coherence            how far a generated patch is from the nearest real one
  completeness         how far a real patch is from the nearest generated one
  detail ratios        whether it is as sharp, by spatial frequency
  copied share         how much of it is the reference, moved as a whole
  pixel diversity      how far several generated images differ in their pixels
  neighbour diversity  how far they differ in the places they take patches from

No single one will do: a copy has the best distances and no diversity, noise the
reverse. Distances are in the unit of the values, of which there are 2 from
black to white: 0.0078 is one grey level of 8 bits, and images in [0, 1] have
half the distance. Those of patches are root mean squares per value.

References:
  Simakov et al. 2008, Summarizing visual data using bidirectional similarity
    (coherence and completeness).
  Karras et al. 2018, Progressive growing of GANs (sliced Wasserstein distances
    of patches at several scales).
  Shaham et al. 2019, SinGAN (pixel diversity).
  Burt and Adelson 1983, The Laplacian pyramid as a compact image code.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from scipy import ndimage
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.data import pyramid
from internal_diffusion.evaluation.nearest_patches import (
  NearestPatches,
  all_vectors,
  check_images,
  nearest_patches,
  vectors_at,
)

Array = jax.Array

_DOWNSCALINGS = (1, 2, 4)
# Distances this close are one but for rounding.
_TIE = 1e-6
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
# Below this a band holds rounding errors only.
_EMPTY_BAND = 1e-6


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
  _check_varies(real)
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


def multiscale_sliced_wasserstein(
  key: Array,
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  num_projections: int = 128,
) -> float:
  """Sliced 1-Wasserstein distance of all patches, the mean over three scales.

  The scales are 1, 1/2 and 1/4 (antialiased), less those at which a patch does
  not fit both images. On a line the distance is the mean of |difference| of the
  two quantile functions, here at as many steps as the larger image has
  patches: exact for images of one size.

  Args:
    key: Key of the projections; the same key gives the same projections.
    generated: [H, W, C] in [-1, 1].
    reference: [H, W, C] in [-1, 1], of any size.
    patch_size: P, odd.
    num_projections: Number of random directions.

  Returns:
    The mean over directions, unit vectors in the space of patches; a shift of
    all values by v makes about 0.8 |v|, the mean of |v . direction|.

  Raises:
    ValueError: If an argument is not as said above.
  """
  arrays.check_positive_int('num_projections', num_projections)
  (made,), real = check_images([generated], reference, patch_size=patch_size)
  shape = (num_projections, patch_size**2 * real.shape[-1])
  directions = np.asarray(jax.random.normal(key, shape))
  directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
  found = []
  for divisor in _DOWNSCALINGS:
    sizes = [np.array(image.shape[:2]) // divisor for image in (made, real)]
    if np.min(sizes) < patch_size:
      break
    sorted_made, sorted_real = (
      np.sort(directions @ all_vectors(_resize(image, size), patch_size).T)
      for image, size in zip((made, real), sizes, strict=True)
    )
    num_steps = max(sorted_made.shape[1], sorted_real.shape[1])
    found.append(
      np.mean(
        np.abs(
          _quantiles(sorted_made, num_steps)
          - _quantiles(sorted_real, num_steps)
        ),
        dtype=np.float64,
      )
    )
  return float(np.mean(found))


def _resize(image: np.ndarray, size: np.ndarray) -> np.ndarray:
  height, width = (int(side) for side in size)
  if image.shape[:2] == (height, width):
    return image
  return np.asarray(pyramid.resize(jnp.asarray(image), (height, width)))


def _quantiles(values: np.ndarray, num_steps: int) -> np.ndarray:
  """The quantile function of sorted rows at the middles of equal steps."""
  middles = 2 * np.arange(num_steps, dtype=np.int64) + 1
  return values[:, middles * values.shape[1] // (2 * num_steps)]


def coherence(
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  query_stride: int = 3,
) -> float:
  """Mean distance of a generated patch to the nearest of the reference.

  0 means that all of the image looks, patch by patch, like the reference; of
  what it leaves out it says nothing. Arguments as of `nearest_patches`.
  """
  nearest = nearest_patches(
    generated, reference, patch_size=patch_size, query_stride=query_stride
  )
  return float(np.mean(nearest.distance))


def completeness(
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  query_stride: int = 3,
) -> float:
  """Mean distance of a patch of the reference to the nearest generated one.

  0 means that nothing was left out; of what was added it says nothing.
  Arguments as of `nearest_patches`.
  """
  return coherence(
    reference, generated, patch_size=patch_size, query_stride=query_stride
  )


def copied_share(
  nearest: NearestPatches,
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
) -> float:
  """Share of the patches that copy the reference at one common offset.

  The offset is the most frequent one between a patch and its nearest. A patch
  counts if the patch of the reference at that offset is as near as the nearest,
  so flat areas, where many are, do not hide a copy.

  Args:
    nearest: What `nearest_patches` gave for these images.
    generated: [H, W, C] in [-1, 1].
    reference: [H, W, C] in [-1, 1].
    patch_size: P, as given to `nearest_patches`.

  Returns:
    A number in (0, 1]; 1 is a copy of the reference, or of a part of it.

  Raises:
    ValueError: If an argument is not as said above.
  """
  (made,), real = check_images([generated], reference, patch_size=patch_size)
  offsets, counts = np.unique(
    nearest.position - nearest.query, axis=0, return_counts=True
  )
  there = nearest.query + offsets[[np.argmax(counts)]]
  last = np.array([real.shape[:2]]) - patch_size
  inside = np.all((there >= 0) & (there <= last), axis=1)
  differences = vectors_at(made, nearest.query[inside], patch_size)
  differences -= vectors_at(real, there[inside], patch_size)
  distance = np.sqrt(np.mean(differences**2, axis=1))
  is_tie = distance <= nearest.distance[inside] + _TIE
  return float(np.sum(is_tie) / len(inside))


def detail_ratios(
  generated: ArrayLike, reference: ArrayLike, *, num_bands: int = 3
) -> list[float]:
  """Strength of detail in bands of frequency, generated over reference.

  The bands are those of a Laplacian pyramid of the grey image: what a binomial
  blur of 5 pixels takes away, then the same of every second pixel of the
  blurred image, and so on. A strength is a root mean square, the square root of
  an energy.

  Args:
    generated: [H, W, C] in [-1, 1].
    reference: [H, W, C] in [-1, 1], of any size.
    num_bands: Number of bands, each an octave below the one before.

  Returns:
    One ratio a band, finest first; below 1 is blurred, above 1 too rough. NaN
    where the reference has nothing in a band.

  Raises:
    ValueError: If an argument is not as said above.
  """
  arrays.check_positive_int('num_bands', num_bands)
  (made,), real = check_images([generated], reference, patch_size=1)
  return [
    ours / theirs if theirs > _EMPTY_BAND else float('nan')
    for ours, theirs in zip(
      _band_strengths(made, num_bands),
      _band_strengths(real, num_bands),
      strict=True,
    )
  ]


def _band_strengths(image: np.ndarray, num_bands: int) -> list[float]:
  level = _grey(image)
  strengths = []
  for _ in range(num_bands):
    blurred = level
    for axis in (0, 1):
      blurred = ndimage.convolve1d(blurred, _BINOMIAL, axis=axis, mode='mirror')
    strengths.append(float(np.sqrt(np.mean((level - blurred) ** 2))))
    level = blurred[::2, ::2]
  return strengths


def _grey(image: np.ndarray) -> np.ndarray:
  return image.astype(np.float64).mean(axis=-1)


def pixel_diversity(
  generated: Sequence[ArrayLike], reference: ArrayLike
) -> float:
  """How much a pixel varies over generated images, in units of the reference.

  The standard deviation of a pixel's grey over the images, its mean over the
  pixels, divided by the standard deviation of the reference's pixels.

  Args:
    generated: Two or more images [H, W, C] in [-1, 1] of one size.
    reference: [H, W, C] in [-1, 1], of any size.

  Returns:
    0 for equal images; about 1 for pixels that are drawn from the reference at
    random, and below that for few images, whose standard deviation is small.

  Raises:
    ValueError: If an argument is not as said above, or the reference is of one
      colour.
  """
  made, real = check_images(generated, reference, patch_size=1)
  _check_varies(real)
  _check_several(len(made))
  sizes = sorted({image.shape[:2] for image in made})
  if len(sizes) > 1:
    raise ValueError(
      f'`generated` must hold images of one size, got sizes {sizes}.'
    )
  deviation = np.std([_grey(image) for image in made], axis=0)
  return float(np.mean(deviation) / np.std(_grey(real)))


def neighbour_diversity(fields: Sequence[NearestPatches]) -> float:
  """How much the places that images take their patches from differ.

  Of each pair of images and each patch: whether the nearest patches in the
  reference lie more than one pixel apart, along either axis. In flat areas
  noise alone makes them so; a small shift of all pixels' values does not.

  Args:
    fields: What `nearest_patches` gave for two or more images of one size,
      with one reference and one stride.

  Returns:
    The mean over pairs and patches, in [0, 1]: 0 for images that are alike, 1
    where no two have a place in common.

  Raises:
    ValueError: If there are fewer than two, or their patches do not lie at the
      same places.
  """
  _check_several(len(fields))
  if not all(np.array_equal(f.query, fields[0].query) for f in fields):
    raise ValueError(
      '`fields` must have the same `query`: images of one size, one stride.'
    )
  positions = np.stack([field.position for field in fields])
  shares = [
    np.mean(np.abs(positions[first] - positions[second]).max(axis=1) > 1)
    for first in range(len(fields))
    for second in range(first)
  ]
  return float(np.mean(shares))


def _check_several(num: int) -> None:
  if num < 2:
    raise ValueError(f'A diversity needs at least two images, got {num}.')


def _check_varies(reference: np.ndarray) -> None:
  if np.ptp(_grey(reference)) == 0:
    raise ValueError('`reference` must vary, got an image of one colour.')
