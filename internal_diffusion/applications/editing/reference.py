"""New pictures with the low band of a reference (Choi et al. 2021, ILVR).

The low band, the picture downscaled by a factor, is a linear observation of the
new picture without noise. It is imposed on every clean estimate at every
pyramid level, and exactly on the result. Where the reference has other colours
than the picture, so have the patches: they are taken from the picture in the
reference's colours.
"""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.following import match_palette
from internal_diffusion.applications.images.inference import (
  check_size,
  generate,
)
from internal_diffusion.applications.images.prior import (
  halved_sizes,
  make_image_prior,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.data.operators import Size
from internal_diffusion.data.resampling import resample
from internal_diffusion.evaluation.fidelity import psnr
from internal_diffusion.sampling.constraints import LinearObservation

Array = jax.Array

PATCH_SIZE = 9  # Small patches follow another picture's lines.
_FACTORS = (1.1, 64.0)
_ROUNDS = 8  # Of the range [-1, 1] and the low band, in turn.


def reference(
  key: Array,
  image: np.ndarray,
  guide: np.ndarray,
  *,
  factor: float = 8.0,
  size: Size | None = None,
  num_samples: int = 4,
) -> Edited:
  """Makes new pictures whose low band is that of a reference.

  Args:
    key: One key.
    image: Picture whose patches the answers have, [H, W, C] in [-1, 1].
    guide: The reference, [h, w, C], of any size.
    factor: Downscaling that makes the low band, in [1.1, 64].
    size: (height, width) of the answers; None is the image's.
    num_samples: Number K of answers.

  Returns:
    The answers; `found` has the PSNR of their low bands in decibels.

  Raises:
    ValueError: If an argument is not valid, or the reference is smaller than
      its own low band or than the coarsest level of the image's pyramid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  arrays.check_in_range('factor', factor, *_FACTORS)
  image = image_io.check_image(image)
  guide = image_io.check_image(guide, name='guide')
  if guide.shape[-1] != image.shape[-1]:
    raise ValueError(
      f'`guide`, the reference, has {guide.shape[-1]} channels, but the image'
      f' has {image.shape[-1]}; convert it.'
    )
  size = size or image.shape[:2]
  check_size(size, image.shape[-1], patch_size=PATCH_SIZE)
  low_size = _low_size(size, factor)
  _check_guide(guide, image, low_size)
  low = np.asarray(resample(guide, low_size)).clip(-1, 1)
  operator = make_downscaling(low_size, size)
  image, is_matched = match_palette(image, guide)
  prior = make_image_prior(image, patch_size=PATCH_SIZE)
  constraint = LinearObservation(operator, jax.device_put(low))
  traces = [
    generate(own, prior, size=size, constraints=[constraint])
    for own in jax.random.split(key, num_samples)
  ]
  for levels in traces:
    levels[0] = _impose(operator, levels[0], low)
  samples = np.stack([levels[0] for levels in traces])
  found = {
    'factor': factor,
    'low_size': list(low_size),
    'patches': 'in the colours of the guide' if is_matched else 'as they are',
    'low_band_psnr': [
      round(psnr(np.asarray(operator.apply(sample)).clip(-1, 1), low), 1)
      for sample in samples
    ],
  }
  return from_samples(samples, found)._replace(traces=traces)


def _low_size(size: Size, factor: float) -> Size:
  height, width = (max(1, round(side / factor)) for side in size)
  return height, width


def _check_guide(guide: np.ndarray, image: np.ndarray, low_size: Size) -> None:
  """Raises ValueError for a reference that is too small."""
  coarsest = halved_sizes(*image.shape[:2], patch_size=PATCH_SIZE)[-1]
  height, width = (
    max(low, min(low * 2, level))
    for low, level in zip(low_size, coarsest, strict=True)
  )
  if guide.shape[0] < height or guide.shape[1] < width:
    raise ValueError(
      '`guide`, the reference, must have at least'
      f' {height}x{width} pixels for this factor, got'
      f' {guide.shape[0]}x{guide.shape[1]}.'
    )


def _impose(
  operator: Downscaling, sample: np.ndarray, low: np.ndarray
) -> np.ndarray:
  """The nearest picture in [-1, 1] with the low band, nearly.

  Projections on the two in turn (Bauschke & Borwein 1996).
  """
  for _ in range(_ROUNDS):
    sample = np.asarray(operator.back_project(sample, low)).clip(-1, 1)
  return sample
