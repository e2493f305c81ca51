"""Errors of an optical flow against the ground truth.

Flows are (u, v), [H, W, 2], in pixels. Errors are over the pixels where the
truth is finite and the mask, if given, is true. Sums are in float64. Invalid
arguments raise `ValueError`.

  Endpoint error: length of the difference in pixels; its mean is the AEPE.
  Angular error: angle between (u, v, 1) and its truth in degrees (Barron et al.
    1994, Performance of optical flow techniques, section 4.1). The 1 keeps it
    defined without motion and limits the weight of small motions.
  R0.5, R1, R2: fraction of pixels with an endpoint error above 0.5, 1, 2 pixels
    (Baker et al. 2011, A database and evaluation methodology for optical flow).
  Fl: fraction of pixels with an endpoint error above 3 pixels and above 5
    percent of the true length (Menze and Geiger 2015, Object scene flow for
    autonomous vehicles: the KITTI benchmark).
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.data import image_io


class FlowErrors(NamedTuple):
  """Errors over the valid pixels; fractions are in [0, 1].

  Attributes:
    aepe: Mean endpoint error in pixels.
    angular: Mean angular error in degrees.
    r0_5, r1, r2, fl: Fractions of pixels, see the module's docstring.
    num_pixels: Number of valid pixels.
  """

  aepe: float
  angular: float
  r0_5: float
  r1: float
  r2: float
  fl: float
  num_pixels: int


def flow_errors(
  flow: ArrayLike, truth: ArrayLike, *, mask: ArrayLike | None = None
) -> FlowErrors:
  """All errors over the valid pixels.

  Args:
    flow: Estimated flow, [H, W, 2], finite at the valid pixels.
    truth: True flow, [H, W, 2], not finite where unknown.
    mask: Mask of the pixels to use, [H, W] booleans, one of them with a known
      truth; None is all known ones.

  Example:
    >>> truth = np.full((2, 2, 2), [3.0, 4.0])
    >>> errors = flow_errors(np.zeros((2, 2, 2)), truth)
    >>> errors.aepe, errors.fl
    (5.0, 1.0)
  """
  estimates, truths = _check_flows(flow, truth)
  valid = np.all(np.isfinite(truths), axis=-1)
  if mask is not None:
    used = np.asarray(mask)
    if used.dtype != bool or used.shape != valid.shape:
      raise ValueError(
        f'`mask` must be booleans of shape {valid.shape}, got {used.dtype} of'
        f' shape {used.shape}.'
      )
    valid &= used
  estimates, truths = estimates[valid], truths[valid]
  if not len(truths):
    raise ValueError('`mask` must include a pixel with a known truth.')
  num_bad = np.sum(~np.all(np.isfinite(estimates), axis=-1))
  if num_bad:
    raise ValueError(
      f'`flow` must be finite at valid pixels, got {num_bad} vectors that'
      ' are not.'
    )
  errors = endpoint_error(estimates, truths)
  lengths = np.linalg.norm(truths, axis=-1)
  return FlowErrors(
    aepe=float(errors.mean()),
    angular=float(angular_error(estimates, truths).mean()),
    r0_5=float(np.mean(errors > 0.5)),
    r1=float(np.mean(errors > 1)),
    r2=float(np.mean(errors > 2)),
    fl=float(np.mean((errors > 3) & (errors > 0.05 * lengths))),
    num_pixels=len(truths),
  )


def endpoint_error(flow: ArrayLike, truth: ArrayLike) -> np.ndarray:
  """Endpoint errors in pixels, [..., 2] to [...]; NaN where unknown."""
  estimates, truths = _check_flows(flow, truth)
  return np.linalg.norm(estimates - truths, axis=-1)


def angular_error(flow: ArrayLike, truth: ArrayLike) -> np.ndarray:
  """Angular errors in degrees, [..., 2] to [...]; NaN where unknown."""
  first, second = (
    np.insert(part, 2, 1, axis=-1) for part in _check_flows(flow, truth)
  )
  # An arc cosine cannot resolve angles below 1e-6 degrees.
  sine = np.linalg.norm(np.cross(first, second), axis=-1)
  cosine = np.sum(first * second, axis=-1)
  return np.degrees(np.arctan2(sine, cosine))


def textured(
  image: ArrayLike, *, window: int = 3, min_gradient: float = 4 / 127.5
) -> np.ndarray:
  """Mask [H, W] of the textured pixels (Scharstein and Szeliski 2002).

  They (A taxonomy and evaluation of dense two-frame stereo correspondence
  algorithms) call a pixel textureless if the mean squared gradient in a window
  of 3x3 pixels is below the square of 4 grey levels. They use the horizontal
  gradient, for stereo; this function uses the full gradient.

  Args:
    image: Frame, [H, W, C] in [-1, 1]; channels are averaged.
    window: Side of the window in pixels.
    min_gradient: Threshold of the root mean square gradient, per pixel, in the
      unit of the values; a grey level of 8 bits is 1/127.5.
  """
  arrays.check_positive_int('window', window)
  arrays.check_in_range('min_gradient', min_gradient, 0, math.inf)
  grey = image_io.check_image(image).mean(axis=-1, dtype=np.float64)
  if min(grey.shape) < 2:
    raise ValueError(f'`image` must have 2 pixels a side, got {grey.shape}.')
  squares = np.sum(np.square(np.gradient(grey)), axis=0)
  means = scipy.ndimage.uniform_filter(squares, window, mode='nearest')
  return means >= min_gradient**2


def _check_flows(
  flow: ArrayLike, truth: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """Checks both flows and converts them to float64."""
  first, second = np.asarray(flow), np.asarray(truth)
  if first.shape != second.shape or first.shape[-1:] != (2,):
    raise ValueError(
      '`flow` and `truth` must have one shape [H, W, 2], got'
      f' {first.shape} and {second.shape}.'
    )
  return first.astype(np.float64), second.astype(np.float64)
