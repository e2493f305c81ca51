"""Features of two patches of the same content at a displacement.

The average of the patches shows their content, their difference the
displacement. Both lose their means, so that the brightness does not matter, are
divided by the contrast of the average, whitened, and weighted by a window,
because the centre matters most.

To first order the difference d is the gradient g of the average times the
displacement, so with a window w,

  (sum w g g^T + (n / s)^2 I) delta = sum w g d

(Lucas & Kanade 1981, An iterative image registration technique; noise n and
prior standard deviation s as in Simoncelli et al. 1991, Probability
distributions of optical flow). The network receives this estimate for several
windows, with its precision, and corrects it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_WINDOWS = (0.7, 1.2, 2.5)  # Standard deviations of w, in pixels.
_FIRST_ESTIMATE = 1  # Index of the window whose estimate the network corrects.
_NOISE = 0.03  # n: about four grey levels, for the error of first order.
_MAX_ESTIMATE = 3.0  # Bound in pixels, beyond which first order fails.
_CONTRAST_FLOOR = 0.02
_WHITENING_FLOOR = 1e-3  # Relative to the largest variance.


class PairEncoding(NamedTuple):
  """Whitening of pairs of patches, fitted once.

  Attributes:
    window: Weights of the pixels in the contrast, of sum 1, [D].
    average: Map of the average to its whitened features, [D, D].
    difference: Map of the difference to its whitened features, [D, D].
    stddev: Prior standard deviation s of a displacement, in pixels.
  """

  window: Array
  average: Array
  difference: Array
  stddev: Array


def fit_encoding(
  source: Array, target: Array, *, stddev: float
) -> PairEncoding:
  """Fits the whitening to pairs of patches, [N, P*P] each, P odd.

  The prior standard deviation `stddev` of a displacement is in pixels.
  """
  side = _side(source)
  window = _gaussian(side, side / 4)
  weight = np.sqrt(window / window.mean())
  centre = _centre(side)
  average = (source + target) / 2 @ centre
  difference = (target - source) @ centre
  contrast = _contrast(average, jnp.asarray(window))
  return PairEncoding(
    window=jnp.asarray(window),
    average=_whitening(average / contrast, weight),
    difference=_whitening(difference / contrast, weight),
    stddev=jnp.float32(stddev),
  )


def pair_features(
  encoding: PairEncoding, source: Array, target: Array, sigma_aug: Array
) -> tuple[Array, Array]:
  """Features of pairs, and the first estimates of their displacements.

  Args:
    encoding: Whitening fitted to such pairs.
    source: Source patches, [N, P*P].
    target: Target patches, [N, P*P].
    sigma_aug: Noise level of the patches, [N].

  Returns:
    Features [N, F], and estimates (x, y) in pixels, [N, 2].
  """
  side = _side(source)
  centre = _centre(side)
  # One product with all matrices is cheaper than one with each.
  maps = [jnp.asarray(centre), encoding.average]
  maps += map(jnp.asarray, _gradients(side))
  mapped = (source + target) / 2 @ jnp.concatenate(maps, axis=1)
  plain, white, along_x, along_y = jnp.split(mapped, 4, axis=1)
  maps = [jnp.asarray(centre), encoding.difference]
  mapped = (target - source) @ jnp.concatenate(maps, axis=1)
  change, white_change = jnp.split(mapped, 2, axis=1)
  contrast = _contrast(plain, encoding.window)
  windows = np.stack(
    [
      # Times half of the effective number of pixels.
      _gaussian(side, stddev) * min(2 * np.pi * stddev**2, side**2) / 2
      for stddev in _WINDOWS
    ]
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


def _contrast(average: Array, window: Array) -> Array:
  """Contrast [N, 1] of patches without their means, [N, D]."""
  return jnp.sqrt(average**2 @ window[:, None] + _CONTRAST_FLOOR**2)


def _centre(side: int) -> np.ndarray:
  """Matrix that subtracts the mean, [D, D]."""
  return np.eye(side**2, dtype=np.float32) - np.float32(1 / side**2)


def _gaussian(side: int, stddev: float) -> np.ndarray:
  """Gaussian window of sum 1, [D]."""
  squares = np.square(np.arange(side) - side // 2)
  window = np.exp(-np.add.outer(squares, squares) / (2 * stddev**2)).ravel()
  return (window / window.sum()).astype(np.float32)


def _gradients(side: int) -> tuple[np.ndarray, np.ndarray]:
  """Central differences along x and y as matrices on patches, [D, D] each."""
  inner = np.arange(side).clip(1, side - 2)
  unit = np.eye(side, dtype=np.float32)
  step = (unit[:, inner + 1] - unit[:, inner - 1]) / 2
  return np.kron(unit, step), np.kron(step, unit)


def _whitening(values: Array, weight: np.ndarray) -> Array:
  """Matrix that subtracts the mean, whitens and weights, [D, D]."""
  covariance = np.cov(np.asarray(values, np.float64).T)
  variances, directions = np.linalg.eigh(covariance)
  floor = _WHITENING_FLOOR * variances.max()
  kept = variances > 1e-6 * variances.max()  # All but the mean.
  scaled = directions[:, kept] / np.sqrt(variances[kept] + floor)
  return jnp.asarray(scaled @ directions[:, kept].T * weight, jnp.float32)
