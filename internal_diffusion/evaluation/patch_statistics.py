"""Statistics of generated images against their reference image.

Images are floats [H, W, C] in [-1, 1]; generated images may have another size
than the reference. The statistics compare patches of P x P pixels and use no
learnt features. Invalid arguments raise `ValueError`.

  sliced Wasserstein   distance between the distributions of patches
  coherence            mean distance of a generated patch to the nearest real
                       one, of `find_nearest_patches`; 0 if every patch occurs
  completeness         the same with the images exchanged; 0 if no part of the
                       reference is missing (both: Simakov et al. 2008,
                       Summarizing visual data using bidirectional similarity)
  detail ratios        sharpness relative to the reference, by frequency
  copied fraction      fraction that copies the reference at one offset
  pixel diversity      of the pixel values of several generated images
  neighbour diversity  of the positions of their nearest patches

They complement each other: a copy has the best distances and no diversity,
noise the reverse. Distances are in the unit of the values,
with 2 from black to white: 0.0078 is one grey level of 8 bits. Patch distances
are root mean squares per value.
"""

import itertools
from collections.abc import Sequence

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
  grey,
  vectors_at,
)
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_DOWNSCALINGS = (1, 2, 4)
# Distances this close differ by rounding only.
_TIE = 1e-6
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
# A band below this strength contains rounding errors only.
_EMPTY_BAND = 1e-6


@with_own_settings
def multiscale_sliced_wasserstein(
  key: Array,
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
  num_projections: int = 128,
) -> float:
  """Sliced 1-Wasserstein distance of all patches, mean over three scales.

  Several scales as in Karras et al. 2018, Progressive growing of GANs: 1, 1/2
  and 1/4 (antialiased), without those at which a patch does not fit both
  images. In one dimension the distance is the mean absolute
  difference of the two quantile functions, here at as many points as the larger
  image has patches: exact for images of one size.

  Args:
    key: Key of the projections.
    generated: Generated image, [H, W, C] in [-1, 1].
    reference: Reference image, [H, W, C] in [-1, 1], of any size.
    patch_size: Side P of a patch in pixels, odd.
    num_projections: Number of random directions.

  Returns:
    Mean over the directions, unit vectors in the space of patches; a shift of
    all values by v gives about 0.8 |v|, the mean of |v . direction|.
  """
  arrays.check_positive_int('num_projections', num_projections)
  (made,), real = check_images([generated], reference, patch_size=patch_size)
  shape = (num_projections, patch_size**2 * real.shape[-1])
  directions = np.array(jax.random.normal(key, shape))
  directions /= np.linalg.norm(directions, axis=1, keepdims=True)
  per_scale = []
  for divisor in _DOWNSCALINGS:
    sizes = [np.array(image.shape[:2]) // divisor for image in (made, real)]
    if np.min(sizes) < patch_size:
      break
    projections = [
      np.sort(directions @ all_vectors(_resize(image, size), patch_size).T)
      for image, size in zip((made, real), sizes, strict=True)
    ]
    num_steps = max(values.shape[1] for values in projections)
    ours, theirs = (_quantiles(values, num_steps) for values in projections)
    per_scale.append(np.mean(np.abs(ours - theirs), dtype=np.float64))
  return float(np.mean(per_scale))


def _resize(image: np.ndarray, size: np.ndarray) -> np.ndarray:
  height, width = (int(side) for side in size)
  if image.shape[:2] == (height, width):
    return image
  return np.asarray(pyramid.resize(jnp.asarray(image), (height, width)))


def _quantiles(values: np.ndarray, num_steps: int) -> np.ndarray:
  """The quantile function of sorted rows at the middles of equal steps."""
  middles = 2 * np.arange(num_steps, dtype=np.int64) + 1
  return values[:, middles * values.shape[1] // (2 * num_steps)]


def copied_fraction(
  nearest: NearestPatches,
  generated: ArrayLike,
  reference: ArrayLike,
  *,
  patch_size: int = 7,
) -> float:
  """Fraction of the patches that copy the reference at one common offset.

  The offset is the most frequent one between a patch and its nearest reference
  patch. A patch counts as copied if the reference patch at that offset is as
  close as the nearest one, so flat areas with many close patches do not hide a
  copy.

  Args:
    nearest: Result of `find_nearest_patches` for the other arguments.
    generated: Generated image, [H, W, C] in [-1, 1].
    reference: Reference image, [H, W, C] in [-1, 1].
    patch_size: Side P of a patch in pixels.

  Returns:
    The fraction, in (0, 1]; 1 is a copy of the reference or of a part of it.
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
  """Ratio of detail in frequency bands, generated over reference.

  The bands are those of a Laplacian pyramid of the grey image (Burt and Adelson
  1983): the difference from a binomial blur of 5 pixels, then the same for the
  blurred image at every second pixel, and so on. The strength of a band is its
  root mean square.

  Args:
    generated: Generated image, [H, W, C] in [-1, 1].
    reference: Reference image, [H, W, C] in [-1, 1], of any size.
    num_bands: Number of bands, each an octave below the previous one.

  Returns:
    A ratio for each band, finest first: below 1 the image is too smooth, above
    1 too rough. NaN where the reference has no detail in a band.
  """
  arrays.check_positive_int('num_bands', num_bands)
  (made,), real = check_images([generated], reference, patch_size=1)
  strengths = (_band_strengths(image, num_bands) for image in (made, real))
  return [
    ours / theirs if theirs > _EMPTY_BAND else float('nan')
    for ours, theirs in zip(*strengths, strict=True)
  ]


def _band_strengths(image: np.ndarray, num_bands: int) -> list[float]:
  level = grey(image)
  strengths = []
  for _ in range(num_bands):
    blurred = level
    for axis in (0, 1):
      blurred = ndimage.convolve1d(blurred, _BINOMIAL, axis=axis, mode='mirror')
    strengths.append(float(np.sqrt(np.mean((level - blurred) ** 2))))
    level = blurred[::2, ::2]
  return strengths


def pixel_diversity(
  generated: Sequence[ArrayLike], reference: ArrayLike
) -> float:
  """Standard deviation of a pixel over images (Shaham et al. 2019, SinGAN).

  That of the grey value is averaged over the pixels and divided by the standard
  deviation of the reference's pixels.

  Args:
    generated: Two or more images [H, W, C] in [-1, 1] of one size.
    reference: Reference image, [H, W, C] in [-1, 1], of any size, not constant.

  Returns:
    0 for equal images; about 1 for many images of pixels drawn at random from
    the reference, and less for few images.
  """
  made, real = check_images(generated, reference, patch_size=1)
  check_varies(real)
  _check_several(len(made))
  sizes = sorted({image.shape[:2] for image in made})
  if len(sizes) > 1:
    raise ValueError(
      f'`generated` must hold images of one size, got sizes {sizes}.'
    )
  stds = np.std([grey(image) for image in made], axis=0)
  return float(np.mean(stds) / np.std(grey(real)))


def neighbour_diversity(fields: Sequence[NearestPatches]) -> float:
  """Fraction of patches whose nearest reference patches differ in position.

  For each pair of images and each patch: whether the nearest patches in the
  reference are more than one pixel apart along either axis. In flat areas noise
  is enough to separate them; a small shift of all pixel values is not.

  Args:
    fields: `find_nearest_patches` results for two or more images of one size,
      with one reference and one stride.

  Returns:
    Mean over pairs and patches, in [0, 1]; 0 for equal images.
  """
  _check_several(len(fields))
  if not all(np.array_equal(f.query, fields[0].query) for f in fields):
    raise ValueError(
      '`fields` must have the same `query`: images of one size, one stride.'
    )
  positions = [field.position for field in fields]
  fractions = [
    np.mean(np.abs(first - second).max(axis=1) > 1)
    for first, second in itertools.combinations(positions, 2)
  ]
  return float(np.mean(fractions))


def _check_several(num: int) -> None:
  if num < 2:
    raise ValueError(f'Diversity needs at least two images, got {num}.')


def check_varies(reference: np.ndarray) -> None:
  """Raises ValueError for a constant image [H, W, C]."""
  if np.ptp(grey(reference)) == 0:
    raise ValueError('`reference` must vary, got an image of one colour.')
