"""Kinds of frames: particle images, speckle, photographs.

Particle images and speckle have no structure larger than a few pixels: most of
their variance is left without their Gaussian average. Particles are sparse and
bright. Photographs have most of their variance in their large structure, or
colour.
"""

import enum

import numpy as np
import scipy.ndimage

from internal_diffusion.data import image_io
from internal_diffusion.data.colour_planes import to_planes

_LARGE, _SMALL = 8.0, 3.0  # Standard deviations of the averages, in pixels.
_FINE = 0.7  # Part of the variance that fine frames keep without _LARGE.
_TINY = 0.7  # Part of the variance that particles keep without _SMALL.
_COLOURED = 0.02  # Standard deviation of colour differences.
_SPARSE = 1.0  # Skewness of particle images.


class Kind(enum.StrEnum):
  """What frames show."""

  AUTO = 'auto'
  PARTICLES = 'particles'
  SPECKLE = 'speckle'
  PHOTOGRAPH = 'photograph'


def find_kind(image: np.ndarray) -> Kind:
  """The kind of a frame [H, W, C] in [-1, 1].

  Example:
    >>> points = np.random.default_rng(0).random((64, 64, 1)) > 0.97
    >>> str(find_kind(2.0 * points - 1))
    'particles'
  """
  planes = to_planes(image_io.check_image(image)).astype(np.float64)
  grey = planes[0]
  variance = grey.var()
  if variance < 1e-8 or np.any(planes[1:].std(axis=(1, 2)) > _COLOURED):
    return Kind.PHOTOGRAPH
  fine, finest = (
    grey - scipy.ndimage.gaussian_filter(grey, stddev)
    for stddev in (_LARGE, _SMALL)
  )
  if fine.var() < _FINE * variance:
    return Kind.PHOTOGRAPH
  is_sparse = scipy.stats.skew(fine, axis=None) > _SPARSE
  is_tiny = finest.var() > _TINY * variance
  return Kind.PARTICLES if is_sparse and is_tiny else Kind.SPECKLE
