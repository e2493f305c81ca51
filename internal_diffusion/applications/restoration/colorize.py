"""Colorization of a grey picture, from marks of colour or a colour reference.

The luminance of the picture is kept. Its chroma is the posterior of a Gaussian
process over patches of luminance, see `chroma_process`. The observations are
marks in the picture itself, or pixels of a reference, whose columns are
ignored.

The scale of errors is calibrated on the observations: each mark is predicted
from all others, and the intervals hold 90% of these errors.
"""

from typing import NamedTuple

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
  chroma_of,
  find_marks,
  luminance_of,
)
from internal_diffusion.data.colour_planes import from_planes

Array = jax.Array

_INF = np.inf
# Lengths of the features of `patch_features`. Those of marks predict each mark
# of ten photographs best from the others; the first component is about the kind
# of ground, the second about the neighbourhood.
_KERNEL_OF_MARKS = Kernel(
  lengths=np.array(
    [
      [4.3, 13, 0.22, 0.41, 0.95, 1.75, 1.15, 9.8, 14],
      [0.94, 1.5, 0.23, 0.28, 0.22, 0.98, 0.77, 4.9, 7.0],
    ]
  ),
  amplitude=np.array([0.49, 0.12]),
  offset=np.array([0.70, 0.52]),
  noise=np.array(0.008),
)
# Things of a reference are at other columns, but at similar heights.
_KERNEL_OF_REFERENCE = Kernel(
  lengths=np.array(
    [
      [2, _INF, 0.25, 0.25, 0.25, 0.25, 1, 1, 1],
      [6, _INF, 0.8, 0.8, 0.8, 0.8, 3, 3, 3],
    ]
  ),
  amplitude=np.array([1.0, 1.0]),
  offset=np.array([0.2, 0.2]),
  noise=np.array(0.1),
)
_MAX_POINTS = 1024
_CONFIDENCE = 0.9
_LEVEL = 1 / 255  # Errors below a grey level do not matter.
# The 90% quantile of errors over predicted standard deviations, from colour
# photographs. The quantile of few errors is uncertain: it is averaged with this
# one, as if this were known from so many groups.
_USUAL_QUANTILE = {'scribbles': 2.1, 'reference': 2.9}
_USUAL_WEIGHT = 20
_NORMAL_QUANTILE = 1.645


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
    `source` of the colours, the number of groups of observations that the
    intervals are calibrated on, and `reasons`.

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
  if scribbles is not None:
    observed = _observe_marks(image, scribbles)
  elif reference is not None:
    observed = _observe_reference(reference)
  source = 'scribbles' if reference is None else 'reference'
  luminance = luminance_of(image)
  features = patch_features(luminance)
  process, left_out = chroma_process.observe(*observed)
  found = chroma_process.posterior(
    key,
    process,
    features.reshape(-1, features.shape[-1]),
    num_samples=num_samples,
  )
  spread, quantile = calibrate(
    left_out, observed.group, _USUAL_QUANTILE[source]
  )
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
      'source': source,
      'num_groups': int(observed.group.max()) + 1,
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


class _Observed(NamedTuple):
  """Arguments of `chroma_process.observe`."""

  kernel: Kernel
  features: np.ndarray
  chroma: np.ndarray
  group: np.ndarray


def _observe_marks(image: np.ndarray, scribbles: np.ndarray) -> _Observed:
  """Features and chroma of marks; each mark is a group."""
  marks = find_marks(image, np.asarray(scribbles), max_points=_MAX_POINTS)
  features = patch_features(luminance_of(image))[marks.row, marks.column]
  return _Observed(_KERNEL_OF_MARKS, features, marks.chroma, marks.group)


def _observe_reference(reference: np.ndarray) -> _Observed:
  """Features and chroma of random pixels; each of 16 rectangles is a group."""
  reference = np.asarray(reference, np.float32)
  if reference.ndim != 3 or reference.shape[-1] != 3:
    raise ValueError(
      '`reference` must be a colour picture [h, w, 3], got shape'
      f' {reference.shape}.'
    )
  chroma = chroma_of(reference)
  if np.abs(chroma).max() < 2 * _LEVEL:
    raise ValueError('`reference` must have colours, got a grey picture.')
  size = chroma.shape[:2]
  num = min(_MAX_POINTS, size[0] * size[1])
  pixel = np.random.default_rng(0).choice(size[0] * size[1], num, replace=False)
  row, column = np.unravel_index(pixel, size)
  rectangle = (4 * row // size[0]) * 4 + 4 * column // size[1]
  return _Observed(
    _KERNEL_OF_REFERENCE,
    patch_features(luminance_of(reference))[row, column],
    chroma[row, column],
    np.unique(rectangle, return_inverse=True)[1],
  )


def _reasons(image: np.ndarray) -> list[str]:
  """What a person should know about the use of the picture."""
  if image.shape[-1] == 3 and np.abs(chroma_of(image)).max() > 2 / 255:
    return ['the picture has colours; its luminance alone is used']
  return []


def patch_features(luminance: np.ndarray) -> np.ndarray:
  """Features [H, W, 9] of the pixels of a luminance [H, W] in [0, 1].

  They are row and column, where a square of the picture's area has the side 4;
  luminance and its averages in three neighbourhoods; and the logarithm of the
  contrast of detail of three sizes.
  """
  row, column = np.indices(luminance.shape) * 4 / np.sqrt(luminance.size)
  averages = [ndimage.gaussian_filter(luminance, s) for s in (1.5, 5, 15)]
  contrasts = []
  for size in (1, 2, 4):
    detail = luminance - ndimage.gaussian_filter(luminance, size)
    energy = ndimage.gaussian_filter(detail**2, 2.5 * size)
    contrasts.append(np.log(np.sqrt(np.maximum(energy, 0)) + 0.01))
  features = [row, column, luminance, *averages, *contrasts]
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


def calibrate(
  left_out: LeftOut, group: np.ndarray, usual: float
) -> tuple[float, float]:
  """Factors of the predicted standard deviation that make it fit the errors.

  Args:
    left_out: Observations, each predicted without its group.
    group: Group of each observation, [N].
    usual: Usual quantile, which is averaged with the observed one.

  Returns:
    The factor for a standard deviation, and that for half of a 90% interval.
  """
  num = int(group.max()) + 1
  if num < 2:
    return usual / _NORMAL_QUANTILE, usual
  error = 2 * np.abs(left_out.error @ _to_channels().T)
  ratio = error / channel_std(left_out.variance, left_out.covariance)
  order = np.argsort(ratio.ravel())
  # All groups count alike.
  weight = np.repeat(1 / np.bincount(group)[group], 3)[order]
  index = np.searchsorted(np.cumsum(weight), _CONFIDENCE * weight.sum())
  observed = max(float(ratio.ravel()[order][index]), 0.1)
  trust = num / (num + _USUAL_WEIGHT)
  quantile = usual * (observed / usual) ** trust
  return quantile / _NORMAL_QUANTILE, quantile
