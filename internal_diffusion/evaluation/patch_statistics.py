"""Statistics of generated images against the one image they were learnt from.

Images are floats [H, W, C] in [-1, 1]; a generated one may have another size
than the reference, and need not lie on it pixel by pixel. No learnt features:
an image counts as alike if its patches of P x P pixels are.

  sliced Wasserstein   whether the patches of both have one distribution
  coherence            how far a generated patch is from the nearest real one
  completeness         how far a real patch is from the nearest generated one
  detail ratios        whether it is as sharp, by spatial frequency
  copied share         how much of it is the reference, moved as a whole

No single one will do: a copy has the best distances and no diversity
(`image_diversity`), noise the reverse. Distances are in the unit of the values,
of which there are 2 from black to white: 0.0078 is one grey level of 8 bits,
and images in [0, 1] have half the distance. Those of patches are root mean
squares per value.

References:
  Simakov et al. 2008, Summarizing visual data using bidirectional similarity
    (coherence and completeness).
  Karras et al. 2018, Progressive growing of GANs (sliced Wasserstein distances
    of patches at several scales).
  Burt and Adelson 1983, The Laplacian pyramid as a compact image code.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from scipy import ndimage

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
