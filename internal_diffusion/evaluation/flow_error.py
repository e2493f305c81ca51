"""Errors of an optical flow against the truth.

Flows are (u, v), [H, W, 2], in pixels. Pixels count where the truth is finite
and the mask, if there is one, is true. Sums are taken in float64.

  Endpoint error: the length of the difference, in pixels; its mean is the AEPE.
  Angular error: the angle between (u, v, 1) and its truth, in degrees, that is
    between directions in space and time (Barron et al. 1994, section 4.1). The
    1 keeps it defined where nothing moves and bounds what small motions weigh.
  R0.5, R1, R2: the share of pixels whose endpoint error is above so many pixels
    (Baker et al. 2011).
  Fl: the share of those where it is above 3 pixels and above 5 percent of the
    true length (Menze and Geiger 2015, the KITTI benchmark).

References:
  Baker et al. 2011, A database and evaluation methodology for optical flow.
  Barron et al. 1994, Performance of optical flow techniques.
  Menze and Geiger 2015, Object scene flow for autonomous vehicles.
  Scharstein and Szeliski 2002, A taxonomy and evaluation of dense two-frame
    stereo correspondence algorithms.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.data import image_io


class FlowErrors(NamedTuple):
  """Errors over the pixels that count; shares are in [0, 1].

  Attributes:
    aepe: Mean endpoint error, in pixels.
    angular: Mean angular error, in degrees.
    r0_5: Share of pixels with an endpoint error above 0.5 pixels.
    r1: The same above 1.
    r2: The same above 2.
    fl: Share of KITTI's outliers.
    num_pixels: How many pixels count.
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
  """All errors over the pixels that count.

  Args:
    flow: The estimate, [H, W, 2], finite where pixels count.
    truth: The true flow, [H, W, 2]; not finite where it is unknown.
    mask: Which pixels count, [H, W] booleans; None is all of known truth.

  Returns:
    The errors.

  Raises:
    ValueError: If an argument is not as said above, or no pixel counts.
  """
  estimates, truths = _check_flows(flow, truth)
  counts = np.all(np.isfinite(truths), axis=-1)
  if mask is not None:
    counts &= _check_mask(mask, counts.shape)
  estimates, truths = estimates[counts], truths[counts]
  if not len(truths):
    raise ValueError('`mask` must leave a pixel of known truth, got none.')
  num_bad = np.sum(~np.all(np.isfinite(estimates), axis=-1))
  if num_bad:
    raise ValueError(
      f'`flow` must be finite where it is judged, got {num_bad} vectors that'
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
  """Length of the difference in pixels, [..., 2] to [...]; NaN if unknown."""
  estimates, truths = _check_flows(flow, truth)
  return np.linalg.norm(estimates - truths, axis=-1)


def angular_error(flow: ArrayLike, truth: ArrayLike) -> np.ndarray:
  """Angle in space and time in degrees, [..., 2] to [...]; NaN if unknown."""
  first, second = (
    np.concatenate([part, np.ones_like(part[..., :1])], axis=-1)
    for part in _check_flows(flow, truth)
  )
  # The arc cosine of the inner product alone loses angles below 1e-6 degrees.
  sine = np.linalg.norm(np.cross(first, second), axis=-1)
  cosine = np.sum(first * second, axis=-1)
  return np.degrees(np.arctan2(sine, cosine))


def textured(
  image: ArrayLike, *, window: int = 3, min_gradient: float = 4 / 127.5
) -> np.ndarray:
  """Where a frame has texture to match, after Scharstein and Szeliski 2002.

  They call a pixel textureless where the squared gradient, averaged over a
  square window, is below a threshold: of 4 grey levels in 3x3 pixels. There it
  is the horizontal gradient, the direction of stereo; here it is all of it.

  Args:
    image: The frame, [H, W, C] in [-1, 1]; channels are averaged.
    window: Side of the window, in pixels.
    min_gradient: Root mean square gradient of texture, in units of the range
      [-1, 1] a pixel; a grey level of 8 bits is 1/127.5.

  Returns:
    Booleans, [H, W]; ~ of it is where nothing is to be seen.

  Raises:
    ValueError: If an argument is not as said above.
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
  """Returns both flows as float64, or says what is wrong with them."""
  first, second = np.asarray(flow), np.asarray(truth)
  if first.shape != second.shape or first.shape[-1:] != (2,):
    raise ValueError(
      '`flow` and `truth` must have one shape [H, W, 2], got'
      f' {first.shape} and {second.shape}.'
    )
  return first.astype(np.float64), second.astype(np.float64)


def _check_mask(mask: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
  values = np.asarray(mask)
  if values.dtype != bool or values.shape != shape:
    raise ValueError(
      f'`mask` must be booleans of shape {shape}, got {values.dtype} of shape'
      f' {values.shape}.'
    )
  return values
