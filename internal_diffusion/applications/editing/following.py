"""How closely a new picture follows a given one: a number from 0 to 1.

The number names the smallest details that come from the given picture: at s,
those larger than side^(1 - s) pixels, where the side is the shorter one. At 0
that is the whole picture, so nothing comes from it; at 1 it is one pixel. So it
means the same for a small and for a large picture.

The new picture begins with the given one and noise at the pyramid level of this
size. The noise is in units of the level at which the patches of a level
become hard to tell apart,

  sigma^2 = V P^2 C / (2 log N),

where V is the variance of the image and N the number of patches of P x P pixels
of a level: then the mean squared distance of two patches, 2 V P^2 C, is
4 sigma^2 log N. So it means the same for pale and for
contrasted pictures.
"""

import math

import numpy as np
from scipy import ndimage, spatial

from internal_diffusion import arrays
from internal_diffusion.applications.images.prior import build_levels
from internal_diffusion.data.operators import Size
from internal_diffusion.sampling.coarse_to_fine import Start

# Noise in those units at the two ends of a middle level, at the fine end of the
# coarsest and at the coarse end of the finest. From the coarsest on, noise
# grows to noise alone.
_MIDDLE, _COARSEST, _FINEST = (1.15, 1.5), 1.8, 1.3
_SIGMAS = (0.002, 100.0)  # Range of `Start.sigma`.
_NEAR = 0.1  # Mean distance of colours that an image has: 13 grey levels.
_NUM_COLOURS = 5000  # That are compared.


def make_start(
  picture: np.ndarray,
  image: np.ndarray,
  *,
  patch_size: int,
  strength: float,
) -> Start | None:
  """The start of a new picture that follows a given one.

  Args:
    picture: The given picture, [h, w, C] in [-1, 1].
    image: The picture whose patches the new one has, [H, W, C].
    patch_size: Side of the patches of the prior.
    strength: How closely it is followed, in [0, 1].

  Returns:
    The start, None for a strength of 0.

  Raises:
    ValueError: If the strength is out of range.
  """
  arrays.check_in_range('strength', strength, 0, 1)
  if strength == 0:
    return None
  levels = build_levels(image, patch_size=patch_size)
  level, noise = _place(strength, min(image.shape[:2]), len(levels) - 1)
  sigma = noise * _unit(image, levels[level].shape[:2], patch_size)
  return Start(picture, float(np.clip(sigma, *_SIGMAS)), level)


def _place(strength: float, side: int, coarsest: int) -> tuple[int, float]:
  """Level of a strength, and the noise on it in its units."""
  octaves = (1 - strength) * math.log2(side)
  if octaves >= coarsest:
    return coarsest, _COARSEST * (1 - coarsest / math.log2(side)) / strength
  level = int(octaves)
  low, high = _MIDDLE if level else (0.0, _FINEST)
  return level, low + (high - low) * (octaves - level)


def _unit(image: np.ndarray, size: Size, patch_size: int) -> float:
  """Noise level at which the patches of a level are hard to tell apart."""
  num_values = patch_size**2 * image.shape[-1]
  num_patches = math.prod(side - patch_size + 1 for side in size)
  variance = float(image.var(axis=(0, 1)).mean())
  return math.sqrt(variance * num_values / (2 * math.log(max(num_patches, 3))))


def match_palette(
  picture: np.ndarray,
  image: np.ndarray,
  *,
  patch_size: int = 1,
  near: float = _NEAR,
) -> tuple[np.ndarray, bool]:
  """A picture in colours that the image has, and whether it was changed.

  An image has the colours that are means of its patches: a black area is not
  made of grass, though a few pixels of grass are black. Colours that the image
  has stay. Where on the mean they are far from its nearest ones, they get the
  mean and the covariance of its colours, by the linear map of least change
  (Pitie & Kokaram 2007, the linear Monge-Kantorovitch map).

  Args:
    picture: [h, w, C] in [-1, 1].
    image: [H, W, C] in [-1, 1].
    patch_size: Side in pixels of the patches whose means are its colours.
    near: Largest mean distance of colours that the image has.
  """
  means = ndimage.uniform_filter(image, patch_size, axes=(0, 1))
  colours, own = (x.reshape(-1, x.shape[-1]) for x in (picture, means))
  few = own[:: max(1, len(own) // _NUM_COLOURS)]
  queries = colours[:: max(1, len(colours) // _NUM_COLOURS)]
  distance, _ = spatial.cKDTree(few).query(queries)
  if distance.mean() <= near:
    return picture, False
  mean, target = colours.mean(axis=0), own.mean(axis=0)
  jitter = 1e-4 * np.eye(len(mean))
  old, new = (np.atleast_2d(np.cov(x.T)) + jitter for x in (colours, own))
  root = _square_root(old)
  inverse = np.linalg.inv(root)
  linear = inverse @ _square_root(root @ new @ root) @ inverse
  mapped = (colours - mean) @ linear.T + target
  mapped = mapped.reshape(picture.shape).clip(-1, 1).astype(np.float32)
  return mapped, True


def _square_root(matrix: np.ndarray) -> np.ndarray:
  """The symmetric square root of a symmetric positive definite matrix."""
  values, vectors = np.linalg.eigh(matrix)
  return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
