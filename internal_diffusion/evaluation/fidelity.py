"""Fidelity of an image to a reference: PSNR and SSIM.

Both images are floats [H, W, C] in [-1, 1] of one shape, else `ValueError` is
raised. The peak-to-peak value is 2. Clip images first, as an image file does.
"""

import math

import numpy as np
from jax.typing import ArrayLike
from skimage import metrics

from internal_diffusion import arrays
from internal_diffusion.data import image_io

_PEAK_TO_PEAK = 2.0
# Wang et al. 2004, section III.C: a Gaussian window of 1.5 pixels, 11 wide.
_SSIM_SIGMA = 1.5
_SSIM_WINDOW = 11


def psnr(image: ArrayLike, reference: ArrayLike) -> float:
  """Peak signal-to-noise ratio in dB; infinite for equal images.

  It is 10 log10(4 / mean squared error).

  Example:
    >>> round(psnr(np.zeros((4, 4, 1)), np.full((4, 4, 1), 0.2)), 6)
    20.0
  """
  image, reference = _check_pair(image, reference)
  if np.array_equal(image, reference):
    return math.inf
  return float(
    metrics.peak_signal_noise_ratio(reference, image, data_range=_PEAK_TO_PEAK)
  )


def ssim(image: ArrayLike, reference: ArrayLike) -> float:
  """Structural similarity (Wang et al. 2004), mean over the channels.

  It is at most 1, and 1 for equal images only. Images must be at least 11
  pixels high and wide.
  """
  image, reference = _check_pair(image, reference)
  if min(image.shape[:2]) < _SSIM_WINDOW:
    raise ValueError(
      f'`image` must be at least {_SSIM_WINDOW} pixels high and wide for SSIM,'
      f' got shape {image.shape}.'
    )
  # The luminance term needs intensities from 0: it is not invariant to a
  # shift, and in [-1, 1] it would divide by 0 at a mid grey.
  return float(
    metrics.structural_similarity(
      reference + 1,
      image + 1,
      data_range=_PEAK_TO_PEAK,
      channel_axis=-1,
      gaussian_weights=True,
      sigma=_SSIM_SIGMA,
      use_sample_covariance=False,
    )
  )


def _check_pair(
  image: ArrayLike, reference: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """Checks both images and converts them to float64."""
  first = image_io.check_image(image, name='image')
  second = image_io.check_image(reference, name='reference')
  arrays.check_same_shape(image=first, reference=second)
  return first.astype(np.float64), second.astype(np.float64)
