"""Colorization of a grey picture, from marks of colour or a colour reference.

The luminance of the picture is kept. Its chroma is the posterior of a Gaussian
process over patches of luminance, see `chroma_process`. Marks are observations
of it in the picture itself; a reference is a picture whose patches and chroma
are observations, without their places.

The scale of errors is calibrated on the observations: each mark is predicted
from all others, and the intervals hold 90% of these errors.
"""

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.restoration import chroma_process
from internal_diffusion.applications.restoration.chroma_process import (
  Kernel,
  LeftOut,
)
from internal_diffusion.applications.restoration.restored import Restored
from internal_diffusion.applications.restoration.scribbles import (
  Marks,
  chroma_of,
  find_marks,
  luminance_of,
)
from internal_diffusion.data.colour_planes import from_planes

Array = jax.Array

# Lengths of row and column (100 pixels), luminance, luminance in neighbourhoods
# of 1.5 and 5 pixels, and log contrast; chosen on photographs of scikit-image.
_KERNEL = Kernel(
  lengths=1 / np.array([[0.5, 0.5, 0.5, 1, 1, 0.3], [1.5, 1.5, 4, 4, 4, 1]]),
  amplitude=np.array([0.37, 0.37]),
  offset=np.array([0.14, 0.14]),
  noise=np.array(0.007),
)
_MAX_POINTS = 1024
_CONFIDENCE = 0.9
_LEVEL = 1 / 255  # Errors below a grey level do not matter.
# A quantile of few errors is uncertain: it is averaged with the usual one, as
# if that were known from this many marks.
_USUAL_QUANTILE, _USUAL_WEIGHT = 1.6, 20


def colorize(
  key: Array,
  image: np.ndarray,
  *,
  scribbles: np.ndarray | None = None,
  reference: np.ndarray | None = None,
  num_samples: int = 8,
  progress: bool = False,
) -> Restored:
  """Colours a grey picture.

  Args:
    key: One key.
    image: Grey picture, [H, W, 1] in [-1, 1]; of a colour picture [H, W, 3] the
      luminance.
    scribbles: The picture with marks of colour on it, [H, W, 3], or the marks
      alone on a transparent layer, [H, W, 4].
    reference: Colour picture of the same scene or kind, [h, w, 3], instead of
      marks.
    num_samples: Number K of samples.
    progress: Unused; the work has no steps.

  Returns:
    The coloured picture; its fields have three channels. `found` holds the
    number of marks or the size of the reference, and the `reasons`.

  Raises:
    ValueError: If not exactly one of `scribbles` and `reference` is given, if
      their shape is wrong, or if there are no marks or no colours.
  """
  del progress
  image = _check_picture(image)
  if num_samples:
    arrays.check_positive_int('num_samples', num_samples)
  if (scribbles is None) == (reference is None):
    raise ValueError(
      'One of `scribbles` and `reference` must be given, got'
      f' {"neither" if scribbles is None else "both"}.'
    )
  if scribbles is None:
    raise ValueError('`reference` cannot be used yet.')
  marks = find_marks(image, scribbles, max_points=_MAX_POINTS)
  luminance = luminance_of(image)
  features = patch_features(luminance)
  process, left_out = chroma_process.observe(
    _KERNEL, features[marks.row, marks.column], marks.chroma, marks.group
  )
  found = chroma_process.posterior(
    key,
    process,
    features.reshape(-1, features.shape[-1]),
    num_samples=num_samples,
  )
  spread, quantile = calibrate(left_out, marks)
  size = luminance.shape
  mean = found.mean.reshape(*size, 2)
  std = channel_std(found.variance, left_out.covariance).reshape(*size, 3)
  deviation = found.samples.reshape(-1, *size, 2) - mean
  coloured = to_colour(luminance, mean)
  half_width = quantile * std
  return Restored(
    mean=coloured,
    std=spread * std,
    low=np.clip(coloured - half_width, -1, 1),
    high=np.clip(coloured + half_width, -1, 1),
    samples=np.stack(
      [to_colour(luminance, mean + spread * one) for one in deviation]
      or [np.zeros((0, *size, 3), np.float32)]
    ).reshape(-1, *size, 3),
    found={
      'task': 'colorize',
      'num_marks': int(marks.group.max()) + 1,
      'num_points': len(marks.row),
      'spread': float(spread),
      'reasons': _reasons(image),
    },
  )


def _check_picture(image: np.ndarray) -> np.ndarray:
  """The picture, [H, W, 1 or 3] float32."""
  image = np.asarray(image, np.float32)
  if image.ndim != 3 or image.shape[-1] not in (1, 3):
    raise ValueError(
      f'`image` must be [H, W, 1] or [H, W, 3], got shape {image.shape}.'
    )
  return image


def _reasons(image: np.ndarray) -> list[str]:
  """What a person should know about the use of the picture."""
  if image.shape[-1] == 3 and np.abs(chroma_of(image)).max() > 2 / 255:
    return ['the picture has colours; its luminance alone is used']
  return []


def patch_features(luminance: np.ndarray) -> np.ndarray:
  """Features [H, W, 6] of the pixels of a luminance [H, W] in [0, 1].

  They are row and column in units of 100 pixels, luminance, its average in two
  neighbourhoods, and the logarithm of the contrast around the pixel.
  """
  row, column = np.indices(luminance.shape) / 100
  near, wide = (ndimage.gaussian_filter(luminance, s) for s in (1.5, 5))
  detail = luminance - ndimage.gaussian_filter(luminance, 2)
  contrast = np.sqrt(np.maximum(ndimage.gaussian_filter(detail**2, 4), 0))
  features = [row, column, luminance, near, wide, np.log(contrast + 0.01)]
  return np.stack(features, axis=-1).astype(np.float32)


def to_colour(luminance: np.ndarray, chroma: np.ndarray) -> np.ndarray:
  """Colour image [H, W, 3] in [-1, 1] of exactly the given luminance.

  Args:
    luminance: Luminance, [H, W] in [0, 1].
    chroma: Chroma, [H, W, 2]; scaled down where a colour would leave [0, 1].
  """
  planes = [np.zeros_like(luminance), chroma[..., 0], chroma[..., 1]]
  offset = from_planes(np.stack(planes))
  y = luminance[..., None]
  room = np.where(offset > 0, 1 - y, y)
  scale = np.min(room / np.maximum(np.abs(offset), 1e-6), axis=-1)
  offset *= np.minimum(scale, 1)[..., None]
  return np.clip(2 * (y + offset) - 1, -1, 1).astype(np.float32)


def channel_std(variance: np.ndarray, covariance: np.ndarray) -> np.ndarray:
  """Standard deviations [P, 3] of R, G, B in [-1, 1].

  Args:
    variance: Variance in units of the covariance, [P].
    covariance: Covariance of chroma, [2, 2].
  """
  to_channels = _to_channels()
  channels = np.diag(to_channels @ covariance @ to_channels.T)
  square = variance[:, None] * channels[None] + _LEVEL**2
  return (2 * np.sqrt(square)).astype(np.float32)


def _to_channels() -> np.ndarray:
  """Matrix [3, 2] from chroma to R, G, B."""
  planes = np.zeros((3, 2, 1), np.float32)
  planes[1, 0] = planes[2, 1] = 1
  return from_planes(planes)[:, 0].T


def calibrate(left_out: LeftOut, marks: Marks) -> tuple[float, float]:
  """Ratio of actual to predicted errors: root mean square, and 90% quantile.

  Both are averaged with their usual values, in logarithms.
  """
  num_marks = int(marks.group.max()) + 1
  if num_marks < 2:
    return 1.0, _USUAL_QUANTILE
  error = 2 * np.abs(left_out.error @ _to_channels().T)
  ratio = error / channel_std(left_out.variance, left_out.covariance)
  per_mark = np.bincount(marks.group)[marks.group]
  order = np.argsort(ratio.ravel())
  weight = np.repeat(1 / per_mark, 3)[order]
  index = np.searchsorted(np.cumsum(weight), _CONFIDENCE * weight.sum())
  quantile = max(float(ratio.ravel()[order][index]), 0.1)
  trust = num_marks / (num_marks + _USUAL_WEIGHT)
  quantile = _USUAL_QUANTILE * (quantile / _USUAL_QUANTILE) ** trust
  return quantile / _USUAL_QUANTILE, quantile
