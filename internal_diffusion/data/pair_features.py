"""What a network sees of two patches that show the same thing, displaced.

Their average shows what there is to match, their difference by how much it is
displaced. Both are taken without their means, so that changes of brightness
say nothing, over the contrast of the average, whitened, and weighed by a window
as the middle matters most.

To first order the difference is the gradient times the displacement, so with
the gradient g of the average, the difference d and a window w,

  (sum w g g^T + (n / s)^2 I) delta = sum w g d

(Lucas & Kanade 1981; the noise n and the prior standard deviation s as in
Simoncelli et al. 1991). The network sees this estimate for several windows,
with its precision, and corrects it.

References:
  Lucas & Kanade 1981, An iterative image registration technique with an
    application to stereo vision.
  Simoncelli et al. 1991, Probability distributions of optical flow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_WINDOWS = (0.7, 1.2, 2.5)  # Standard deviations of w, in pixels.
_FIRST_ESTIMATE = 1  # The window whose estimate the network corrects.
_NOISE = 0.03  # n: about four grey levels, for what first order leaves out.
_MAX_ESTIMATE = 3.0  # In pixels; first order means nothing beyond.
_CONTRAST_FLOOR = 0.02
_WHITENING_FLOOR = 1e-3  # Relative to the largest variance.


class PairEncoding(NamedTuple):
  """What is fitted to pairs of patches once.

  Attributes:
    window: Weights of a patch's pixels for its contrast, of sum 1, [D].
    average: From the average of two patches to its whitened features, [D, D].
    difference: The same of the difference.
    stddev: s, the prior standard deviation of a displacement, in pixels.
  """

  window: Array
  average: Array
  difference: Array
  stddev: Array


def fit_encoding(
  source: Array, target: Array, *, stddev: float
) -> PairEncoding:
  """Fits the whitening to pairs of patches.

  Args:
    source: [N, P*P], P odd.
    target: [N, P*P].
    stddev: Prior standard deviation of a displacement, in pixels.
  """
  side = _side(source)
  window = _gaussian(side, side / 4)
  weight = np.sqrt(window / window.mean())
  average, difference = _average_and_difference(source, target)
  centre = _centre(side)
  average, difference = average @ centre, difference @ centre
  contrast = _contrast(average, jnp.asarray(window))
  return PairEncoding(
    window=jnp.asarray(window),
    average=_whitening(average / contrast, weight),
    difference=_whitening(difference / contrast, weight),
    stddev=jnp.float32(stddev),
  )


def features_of(
  encoding: PairEncoding, source: Array, target: Array, sigma_aug: Array
) -> tuple[Array, Array]:
  """Features of pairs, and the first estimate of their displacements.

  Args:
    encoding: Fitted to such pairs.
    source: [N, P*P].
    target: [N, P*P].
    sigma_aug: Noise level of their pixels, [N].

  Returns:
    [N, F], and the estimate (x, y) in pixels, [N, 2].
  """
  side = _side(source)
  dim, centre = side**2, _centre(side)
  average, difference = _average_and_difference(source, target)
  # Products with matrices first: what follows them is then computed once.
  seen = average @ jnp.concatenate(
    [centre, encoding.average, *map(jnp.asarray, _gradients(side))], axis=1
  )
  plain, white, along_x, along_y = (
    seen[:, i * dim : (i + 1) * dim] for i in range(4)
  )
  seen = difference @ jnp.concatenate([centre, encoding.difference], axis=1)
  change, white_change = seen[:, :dim], seen[:, dim:]
  contrast = _contrast(plain, encoding.window)
  windows = np.stack(
    [_gaussian(side, stddev) * _num_pixels(side, stddev) for stddev in _WINDOWS]
  )

  def sums(product: Array) -> Array:
    return product @ jnp.asarray(windows.T) / _NOISE**2

  prior = encoding.stddev**-2
  xx = sums(along_x**2) + prior
  yy = sums(along_y**2) + prior
  xy = sums(along_x * along_y)
  x, y = sums(along_x * change), sums(along_y * change)
  determinant = xx * yy - xy**2
  estimate = jnp.stack([yy * x - xy * y, xx * y - xy * x], -1)
  estimate /= determinant[..., None]
  estimate = _MAX_ESTIMATE * jnp.tanh(estimate / _MAX_ESTIMATE)
  features = [
    white / contrast,
    white_change / contrast,
    jnp.log(contrast) + 2,
    jnp.log(sigma_aug / _NOISE)[:, None],
    jnp.log(sigma_aug[:, None] / contrast) + 2,
    estimate.reshape(len(source), -1),
    jnp.log(xx),
    jnp.log(yy),
    xy / jnp.sqrt(xx * yy),
  ]
  return jnp.concatenate(features, axis=-1), estimate[:, _FIRST_ESTIMATE]


def _side(patches: Array) -> int:
  return round(patches.shape[-1] ** 0.5)


def _average_and_difference(
  source: Array, target: Array
) -> tuple[Array, Array]:
  return (source + target) / 2, target - source


def _contrast(average: Array, window: Array) -> Array:
  """Of patches without their means [N, D], [N, 1]."""
  return jnp.sqrt(average**2 @ window[:, None] + _CONTRAST_FLOOR**2)


def _centre(side: int) -> np.ndarray:
  """The matrix that takes the mean off, [D, D]."""
  return np.eye(side**2, dtype=np.float32) - np.float32(1 / side**2)


def _gaussian(side: int, stddev: float) -> np.ndarray:
  """A window of sum 1, [D]."""
  squares = np.square(np.arange(side) - side // 2)
  window = np.exp(-np.add.outer(squares, squares) / (2 * stddev**2)).ravel()
  return (window / window.sum()).astype(np.float32)


def _num_pixels(side: int, stddev: float) -> float:
  """How many pixels a window of that width weighs."""
  return min(2 * np.pi * stddev**2, side**2) / 2


def _gradients(side: int) -> tuple[np.ndarray, np.ndarray]:
  """Central differences along x and y as matrices on patches, [D, D] each."""
  pixels = np.eye(side**2, dtype=np.float32).reshape(-1, side, side)
  rows, columns = (
    np.pad((after - before) / 2, width, mode='edge').reshape(len(pixels), -1)
    for after, before, width in (
      (pixels[:, 2:], pixels[:, :-2], ((0, 0), (1, 1), (0, 0))),
      (pixels[:, :, 2:], pixels[:, :, :-2], ((0, 0), (0, 0), (1, 1))),
    )
  )
  return columns, rows


def _whitening(values: Array, weight: np.ndarray) -> Array:
  """The matrix that takes the mean off, whitens and weighs, [D, D]."""
  covariance = np.cov(np.asarray(values, np.float64).T)
  variances, directions = np.linalg.eigh(covariance)
  floor = _WHITENING_FLOOR * variances.max()
  kept = variances > 1e-6 * variances.max()  # All but the mean.
  scaled = directions[:, kept] / np.sqrt(variances[kept] + floor)
  return jnp.asarray(scaled @ directions[:, kept].T * weight, jnp.float32)
