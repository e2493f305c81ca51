"""Upscaling an image with a learned model: its mean and samples.

The model doubles the size. Larger factors are reached by doubling again, and
sizes between two doublings by antialiased downscaling, since patches recur best
between scales that are near each other (Glasner et al. 2009). The result is
projected onto the images that become the input when downscaled.

A sample of the luminance adds to the mean of a doubling its residual, drawn
given that mean, and the next doubling enlarges the sample as it would any other
image. The linear prediction enlarges colour differences, which are smooth.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from internal_diffusion.applications.super_resolution.model import Upscaler
from internal_diffusion.applications.super_resolution.planes import (
  mean_plane,
  residual_plane,
  scale_plane,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.colour_planes import from_planes, to_planes
from internal_diffusion.data.downscaling import make_downscaling, scaled_size
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_DETAIL_OCTAVES = 0.5  # See `_residual_weight`.

# A sample is projected and clipped in turn, since clipping alone would undo the
# projection where it has detail near black or white.
_NUM_PROJECTIONS = 3


class Upscaled(NamedTuple):
  """An upscaled image.

  Attributes:
    mean: Mean, [H, W, C] in [-1, 1].
    samples: Samples, [K, H, W, C] in [-1, 1]; K is 0 without samples.
  """

  mean: np.ndarray
  samples: np.ndarray


def num_doublings(factor: float) -> int:
  """Number of doublings that reach a factor.

  Example:
    >>> [num_doublings(factor) for factor in (1.5, 2, 2.1, 8)]
    [1, 1, 2, 3]
  """
  return max(1, math.ceil(math.log2(factor) - 1e-6))


@with_own_settings
def upscale(
  key: Array,
  upscaler: Upscaler,
  image: np.ndarray,
  *,
  factor: float,
  num_samples: int = 0,
  num_steps: int = 6,
  progress: bool = False,
) -> Upscaled:
  """Upscales an image.

  Args:
    key: One key.
    upscaler: The model, usually learned from the same image.
    image: Image, [h, w, C] float32 in [-1, 1], C from 1 to 4: grey or colour,
      and alpha.
    factor: Ratio of the output's side to the input's, from 1.1 to 8; that of
      the model if it has a kernel.
    num_samples: Number K of samples.
    num_steps: Number of Heun steps of a sample.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If an argument is not valid, or samples are asked of a model
      that was trained for the mean alone.
  """
  image = image_io.check_image(image, with_alpha=True)
  size = scaled_size(image.shape[:2], factor)
  if num_samples < 0:
    raise ValueError(f'`num_samples` must be at least 0, got {num_samples}.')
  if num_samples and upscaler.is_mean_only:
    raise ValueError(
      '`num_samples` must be 0: this upscaler was trained for the mean alone.'
    )
  if upscaler.kernel is not None and factor != upscaler.factor:
    raise ValueError(
      f'`factor` must be {upscaler.factor}, that of the kernel, got {factor}.'
    )
  downscaling = make_downscaling(image.shape[:2], size, kernel=upscaler.kernel)
  times = num_doublings(factor) if upscaler.kernel is None else 1
  planes = [jax.device_put(plane) for plane in to_planes(image)]
  bar = tqdm(
    total=1 + num_samples, desc='upscaling', unit='image', disable=not progress
  )
  means, (mean, *others) = [], planes
  # The linear prediction alone for the two colour differences; 8 for alpha.
  orientations = ([0, 0, 8] if len(planes) > 2 else [8])[: len(others)]
  for _ in range(times):
    mean = mean_plane(upscaler, mean)
    means.append(mean)
    others = [
      mean_plane(upscaler, plane, num_orientations=num)
      for plane, num in zip(others, orientations, strict=True)
    ]
  weight, scales = 1.0, []
  if num_samples:
    weight = _residual_weight(upscaler, factor)
    scales = [scale_plane(upscaler, each) for each in means]
  found = np.empty((1 + num_samples, *size, len(planes)), np.float32)
  for k in range(1 + num_samples):
    luminance = mean
    if k:
      own_key = jax.random.fold_in(key, k - 1)
      drawn = _draw(own_key, upscaler, means, scales, num_steps)
      luminance = mean + weight * (drawn - mean)
    sized = [_to_size(plane, size) for plane in (luminance, *others)]
    high = from_planes(np.stack(sized))
    for _ in range(_NUM_PROJECTIONS if k else 1):
      high = np.asarray(downscaling.back_project(high, image)).clip(-1, 1)
    found[k] = high
    bar.update()
  bar.close()
  return Upscaled(found[0], found[1:])


def _draw(
  key: Array,
  upscaler: Upscaler,
  means: list[Array],
  scales: list[Array],
  num_steps: int,
) -> Array:
  """A sample of a plane that was doubled a number of times.

  The second residual has the scale of the second mean, not that of the enlarged
  sample: detail that was drawn would be taken for contrast and grow.
  """
  sample = mean = means[0]
  for index, scale in enumerate(scales):
    if index:
      mean = mean_plane(upscaler, sample, num_orientations=1)
    own_key = jax.random.fold_in(key, index)
    sample = mean + residual_plane(
      own_key, upscaler, mean, scale, num_steps=num_steps
    )
  return sample


def _residual_weight(upscaler: Upscaler, factor: float) -> float:
  """Weight of a sample's residual, at most 1.

  A small image has more detail for its size than a large one, so a residual
  learnt from smaller versions is too strong. Its training scales lie half of
  log2(factor) octaves from the output's on average; the image's own decay
  says how much weaker it is there. The half octave in favour of detail was
  chosen at x4 on six images (four of scikit-image, two of Set5).
  """
  assert upscaler.residuals is not None  # `upscale` checks it.
  octaves = float(upscaler.residuals.decay) * math.log2(factor) / 2
  return min(1.0, 2 ** (_DETAIL_OCTAVES - octaves))


def _to_size(plane: Array, size: tuple[int, int]) -> np.ndarray:
  """A plane, downscaled to a size that is at most its own."""
  if plane.shape == size:
    return np.asarray(plane)
  return np.asarray(jax.image.resize(plane, size, 'cubic', antialias=True))
