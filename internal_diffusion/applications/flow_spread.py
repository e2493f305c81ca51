"""How far off a flow is, from signs of error that every pixel shows.

Seven signs, each a squared length in pixels:

  what the pixel and its neighbours alone leave open (their covariance),
  what the field leaves open (its covariance),
  what going there and back leaves, for the pixel and around it,
  how far the flow close by is from a plane: a pixel may belong to either side,
  what the frames differ by after warping, over their gradient,
  by how much the pixels around would still move.

Where one is large, the flow may be right; where all are, it is not. Their
geometric mean says how large errors are in one place over those in another, the
covariance of the field in which direction. How large all of them are differs
from frame to frame: what pixels leave open is too much where the frames are
better than what was learnt from. That shows in how little they would still
move. So all is in proportion to the squared Mahalanobis distance of what is
left, the median over the frame (the innovation of a filter; Bar-Shalom et al.
2001, section 5.4). Two numbers, found on pairs with known flow, make it a
covariance.

References:
  Bar-Shalom, Li & Kirubarajan 2001, Estimation with applications to tracking
    and navigation.
"""

import numpy as np
import scipy.ndimage

from internal_diffusion.applications.flow_model import Seen

_SCALE = 20.0  # Of the geometric mean.
_FIELD_SHARE = 0.4  # Of the covariance of the field, which is added.
_FLOOR = 0.01  # In pixels, of all lengths: what can be told apart at best.
_FLAT = 0.003  # Gradient that counts as none, brightness a pixel.
_NEAR = 5  # Side of the squares that covariances are averaged over, in pixels.
# Standard deviations of Gaussian averages, in pixels.
_OF_SEEN, _OF_FLOW, _OF_BRIGHTNESS = 3.0, 2.0, 1.0
_MEDIAN = 2 * np.log(2)  # Of a chi-squared variable with two degrees.


def spread_of(
  mean: np.ndarray,
  field_covariance: np.ndarray,
  seen: Seen,
  disagreement: np.ndarray,
  first: np.ndarray,
  warped: np.ndarray,
) -> np.ndarray:
  """The covariance of a flow's errors, [H, W, 2, 2] in pixels^2.

  Args:
    mean: The flow, [H, W, 2].
    field_covariance: What the field itself leaves open, [H, W, 2, 2].
    seen: What pixels alone say of what is left.
    disagreement: What is left of going there and back, [H, W, 2].
    first: The first frame, grey, [H, W].
    warped: The second, looked up along the flow.
  """
  field = scipy.ndimage.uniform_filter(field_covariance, (_NEAR, _NEAR, 0, 0))
  own = np.trace(np.asarray(seen.covariance), axis1=-2, axis2=-1)
  back = _log(_squares(disagreement))
  signs = [
    _average(np.log(own), _OF_SEEN),
    np.log(np.trace(field, axis1=-2, axis2=-1)),
    back,
    _average(back, _OF_FLOW),
    _log(_variance_about_plane(mean, _OF_FLOW)),
    _log_mismatch(first, warped),
    _log(_squares(_average(np.asarray(seen.mean), _OF_SEEN))),
  ]
  total = np.exp(np.mean(signs, axis=0))[..., None, None]
  direction = field / np.trace(field, axis1=-2, axis2=-1)[..., None, None]
  shape = (direction + np.eye(2) / 2) / 2
  floor = _FLOOR**2 * np.eye(2)
  found = _SCALE * total * shape + _FIELD_SHARE * field
  return _innovation(seen) * found + floor


def _innovation(seen: Seen) -> float:
  """How far pixels would still move, of what they leave open; 1 is as said."""
  left = np.asarray(seen.mean)
  covariance = np.asarray(seen.covariance) + _FLOOR**2 * np.eye(2)
  whitened = np.linalg.solve(covariance, left[..., None])[..., 0]
  return float(np.median(np.sum(left * whitened, axis=-1)) / _MEDIAN)


def _log(squares: np.ndarray) -> np.ndarray:
  return np.log(squares + _FLOOR**2)


def _squares(vectors: np.ndarray) -> np.ndarray:
  return np.sum(np.square(vectors), axis=-1)


def _average(values: np.ndarray, stddev: float) -> np.ndarray:
  none = (0,) * (values.ndim - 2)
  return scipy.ndimage.gaussian_filter(values, (stddev, stddev, *none))


def _variance_about_plane(flow: np.ndarray, stddev: float) -> np.ndarray:
  """Of the flow around every pixel, [H, W], about the plane that fits best.

  Under Gaussian weights, its slope is the derivative of the Gaussian average.
  """
  variance = _average(flow**2, stddev) - _average(flow, stddev) ** 2
  for order in ((0, 1, 0), (1, 0, 0)):
    slope = scipy.ndimage.gaussian_filter(flow, (stddev, stddev, 0), order)
    variance -= (stddev * slope) ** 2
  return np.sum(np.maximum(variance, 0), axis=-1)


def _log_mismatch(first: np.ndarray, warped: np.ndarray) -> np.ndarray:
  """By how many pixels brightness is off, as the log of a square, [H, W]."""
  along_y, along_x = np.gradient(first)
  gradient = _average(along_x**2 + along_y**2, _OF_BRIGHTNESS)
  mismatch = _average(np.square(warped - first), _OF_BRIGHTNESS)
  return np.log((mismatch + _FLAT**2) / (gradient + _FLAT**2))
