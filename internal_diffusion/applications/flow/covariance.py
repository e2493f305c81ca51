"""Covariance of a flow's error, from signs of error at each pixel.

Seven signs, each a squared length in pixels: the covariance of the posteriors
of the pixel and its neighbours alone; the covariance of the field; the
disagreement of the flows there and back, of the pixel and around it; the local
deviation of the flow from a plane, because the pixel may belong to either side
of a motion boundary; the brightness error after warping, over the gradient; and
the displacement that remains around the pixel.

Where one sign is large, the flow may still be right; where all are large, it is
not. Their geometric mean gives the relative size of the error, the covariance
of the field its direction. The absolute size differs from frame to frame: the
posteriors are too wide for frames that are better than the training pairs,
which shows in a small remaining displacement. So the covariance is proportional
to the median squared Mahalanobis distance of the remaining displacement (the
innovation of a filter; Bar-Shalom et al. 2001, Estimation with applications to
tracking and navigation, section 5.4). Two numbers, found on pairs with known
flow, give the scale.

Where the flow leads outside, it is extrapolated, and its standard deviation
grows with the distance. Where the surroundings of a pixel were not found in the
second frame, the error is uniform over the range of the search.
"""

import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jax.typing import ArrayLike

from internal_diffusion.applications.flow.pixels import PixelPosteriors
from internal_diffusion.data import warp

KNOWN_PRECISION = 1e6  # Precision of a known component, in 1 / pixels^2.

_SCALE = 20.0  # Factor of the geometric mean.
_FIELD_WEIGHT = 0.4  # Weight of the covariance of the field, which is added.
_FLOOR = 0.01  # Smallest length in pixels, the limit of precision.
_DRIFT = 0.02  # Standard deviation of extrapolation, in pixels per pixel.
_FLAT = 0.003  # Gradient that counts as none, in brightness per pixel.
_NEAR = 5  # Side of the squares that covariances are averaged over, in pixels.
# Standard deviations of Gaussian averages, in pixels.
_POSTERIOR_STD, _FLOW_STD, _BRIGHTNESS_STD = 3.0, 2.0, 1.0
# Median of a chi-squared variable of two degrees of freedom.
_MEDIAN = 2 * np.log(2)
_TINY = 1e-8  # Pixels^2, makes a covariance of few samples invertible.


def error_covariance(
  mean: np.ndarray,
  field_covariance: np.ndarray,
  posteriors: PixelPosteriors,
  disagreement: np.ndarray,
  first: np.ndarray,
  warped: np.ndarray,
  *,
  lost: np.ndarray,
  search_range: float,
) -> np.ndarray:
  """The covariance of a flow's errors in pixels^2, [H, W, 2, 2].

  Args:
    mean: Flow, [H, W, 2].
    field_covariance: Covariance of the field, [H, W, 2, 2].
    posteriors: Posteriors of the remaining displacement of each pixel alone.
    disagreement: Disagreement of the flows there and back, [H, W, 2].
    first: Luminance of the first frame, [H, W].
    warped: Luminance of the warped second frame, [H, W].
    lost: Probability that the match of a pixel was not found, [H, W].
    search_range: Longest motion along an axis that is searched, in pixels.
  """
  near = scipy.ndimage.uniform_filter(field_covariance, (_NEAR, _NEAR, 0, 0))
  near_total = _trace(near)
  back = _log(_squares(disagreement))
  signs = [
    _average(np.log(_trace(posteriors.covariance)), _POSTERIOR_STD),
    np.log(near_total),
    back,
    _average(back, _FLOW_STD),
    _log(_variance_about_plane(mean, _FLOW_STD)),
    _log_mismatch(first, warped),
    _log(_squares(_average(np.asarray(posteriors.mean), _POSTERIOR_STD))),
  ]
  total = np.exp(np.mean(signs, axis=0))[..., None, None]
  shape = (near / near_total[..., None, None] + np.eye(2) / 2) / 2
  found = _SCALE * total * shape + _FIELD_WEIGHT * near
  inside = np.asarray(warp.stays_inside(jnp.asarray(mean)))
  beyond = scipy.ndimage.distance_transform_edt(~inside)
  floor = _FLOOR**2 + (_DRIFT * beyond) ** 2 + lost * search_range**2 / 3
  return _innovation(posteriors) * found + floor[..., None, None] * np.eye(2)


def only_along_x(covariance: np.ndarray) -> np.ndarray:
  """All variance [H, W, 2, 2] in the x component; y is known."""
  along_x = np.diag([1.0, 0.0])
  known = np.diag([0.0, 1 / KNOWN_PRECISION])
  return _trace(covariance)[..., None, None] * along_x + known


def with_covariance(samples: np.ndarray, covariance: np.ndarray) -> np.ndarray:
  """Samples [K, H, W, 2] of mean 0, mapped pixel by pixel to a covariance.

  They keep the correlation of neighbours and of components.
  """
  # In float32, the root of a covariance of two alike samples may not exist.
  exact = samples.astype(np.float64)
  own = np.einsum('khwi,khwj->hwij', exact, exact) / len(samples)
  root, own_root = (
    np.linalg.cholesky(matrix)
    for matrix in (covariance, own + _TINY * np.eye(2))
  )
  factor = root @ np.linalg.inv(own_root)
  return np.einsum('hwij,khwj->khwi', factor, samples)


def _innovation(posteriors: PixelPosteriors) -> float:
  """Median squared Mahalanobis distance over its expectation."""
  left = np.asarray(posteriors.mean)
  covariance = np.asarray(posteriors.covariance) + _FLOOR**2 * np.eye(2)
  whitened = np.linalg.solve(covariance, left[..., None])[..., 0]
  return float(np.median(np.sum(left * whitened, axis=-1)) / _MEDIAN)


def _trace(matrix: ArrayLike) -> np.ndarray:
  return np.trace(np.asarray(matrix), axis1=-2, axis2=-1)


def _log(squares: np.ndarray) -> np.ndarray:
  return np.log(squares + _FLOOR**2)


def _squares(vectors: np.ndarray) -> np.ndarray:
  return np.sum(np.square(vectors), axis=-1)


def _average(values: np.ndarray, stddev: float) -> np.ndarray:
  others = (0,) * (values.ndim - 2)
  return scipy.ndimage.gaussian_filter(values, (stddev, stddev, *others))


def _variance_about_plane(flow: np.ndarray, stddev: float) -> np.ndarray:
  """Variance of the flow around each pixel about its best plane, [H, W].

  Under Gaussian weights, the plane's slope is the derivative of the Gaussian
  average.
  """
  variance = _average(flow**2, stddev) - _average(flow, stddev) ** 2
  for order in ((0, 1, 0), (1, 0, 0)):
    slope = scipy.ndimage.gaussian_filter(flow, (stddev, stddev, 0), order)
    variance -= (stddev * slope) ** 2
  return np.sum(np.maximum(variance, 0), axis=-1)


def _log_mismatch(first: np.ndarray, warped: np.ndarray) -> np.ndarray:
  """Brightness error over gradient, as the log of a squared length, [H, W]."""
  along_y, along_x = np.gradient(first)
  gradient = _average(along_x**2 + along_y**2, _BRIGHTNESS_STD)
  mismatch = _average(np.square(warped - first), _BRIGHTNESS_STD)
  return np.log((mismatch + _FLAT**2) / (gradient + _FLAT**2))
