"""Uncertainty learnt from a smaller version of the picture.

The errors of a restoration are known where the truth is. The restored picture
at half of its size is nearly free of damage and has patches like the picture's
own, so it serves as a truth: it is damaged in the same way and restored. The
variance of the error of a pixel is then a sum of non-negative multiples of

  1, the variance that the prior leaves, and the local means of
  (restored - damaged)^2 and of |gradient of restored|^2,

fitted to the squared errors of the smaller picture and applied to the picture
itself. A last factor makes the intervals of 90% hold 90% of these errors.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from internal_diffusion.data.resampling import resample

Array = jax.Array

# Standard deviations of the windows of local means, in pixels.
_CHANGE_WINDOW, _GRADIENT_WINDOW = 2.0, 1.0
_QUANTILE = 1.6449  # Of a Gaussian's absolute value at 90%.
_SMALLEST_SIDE = 48  # Of the smaller version.
# The errors of the picture itself are larger than those of the smaller one.
# Chosen, as the grain, on camera, coffee, astronaut and rocket of scikit-image.
_LARGER = 1.2
_FLOOR = 0.3 * 2 / 255  # Smallest standard deviation: rounding.


class Attempt(NamedTuple):
  """A restoration; all [h, w, C].

  Attributes:
    restored: The restored picture.
    damaged: The damaged picture, or an interpolation of its size.
    variance: Posterior variance of the restored picture by the prior.
  """

  restored: Array
  damaged: Array
  variance: Array


def learn_std(
  attempt: Attempt,
  again: Callable[[Array], tuple[Array, Attempt]],
  *,
  unseen: float,
) -> np.ndarray:
  """Standard deviation of the error of a restored picture.

  Args:
    attempt: The restoration of the picture, [H, W, C].
    again: Damages a smaller true picture [h, w, C] in the same way and restores
      it; returns the truth, as the restoration shows it, and the restoration.
    unseen: Standard deviation of the error by grain, which the damage removed:
      the smaller picture has none.

  Returns:
    [H, W, C].
  """
  height, width, _ = attempt.restored.shape
  size = _half(height), _half(width)
  truth, own = again(jnp.clip(resample(attempt.restored, size), -1, 1))
  errors = np.asarray(own.restored - truth)
  signs = _signs(own)
  weights = _fit(signs, errors)
  small_std = _std(signs, weights)
  factor = calibrating_factor(errors, small_std)
  std = factor * _std(_signs(attempt), weights)
  return np.hypot(_LARGER * std, unseen)


def calibrating_factor(errors: np.ndarray, std: np.ndarray) -> float:
  """Factor of the standard deviations at which a 90% interval holds 90%.

  Args:
    errors: Known errors, of any shape.
    std: Their predicted standard deviations, of that shape, positive.
  """
  ratio = np.abs(errors) / std
  return float(np.quantile(ratio, 0.9)) / _QUANTILE


def _half(side: int) -> int:
  return min(side, max(_SMALLEST_SIDE, side // 2))


def _fit(signs: np.ndarray, errors: np.ndarray) -> np.ndarray:
  """Non-negative weights [S] of signs [H, W, C, S] of the squared error."""
  flat = signs.reshape(-1, signs.shape[-1])
  squares = (errors**2).reshape(-1)
  # Relative errors of the variance: those of quiet pixels count as well.
  typical = flat @ (1 / np.maximum(flat.mean(axis=0), 1e-12)) + 1
  weights, _ = optimize.nnls(flat / typical[:, None], squares / typical)
  return weights


def _std(signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
  return np.sqrt(np.maximum(signs @ weights, _FLOOR**2))


def _signs(attempt: Attempt) -> np.ndarray:
  """What tells the size of the error, [H, W, C, 4]."""
  return np.asarray(_signs_on_device(attempt), np.float64)


@jax.jit
def _signs_on_device(attempt: Attempt) -> Array:
  restored, damaged, variance = attempt
  change = local_mean((restored - damaged) ** 2, _CHANGE_WINDOW)
  slopes = jnp.gradient(restored, axis=(0, 1))
  steepness = local_mean(slopes[0] ** 2 + slopes[1] ** 2, _GRADIENT_WINDOW)
  ones = jnp.ones_like(restored)
  return jnp.stack([ones, variance, change, steepness], axis=-1)


def local_mean(image: Array, std: float) -> Array:
  """Mean of an image [H, W, C] in a Gaussian window of `std` pixels.

  Pixels beyond a border are those at the border.
  """
  radius = int(np.ceil(3 * std))
  profile = np.exp(-((np.arange(-radius, radius + 1) / std) ** 2) / 2)
  weights = (profile / profile.sum()).astype(np.float32)
  for axis in (0, 1):
    around = [(0, 0)] * 3
    around[axis] = (radius, radius)
    padded = jnp.pad(image, around, mode='edge')
    length = image.shape[axis]
    total = jnp.zeros_like(image)
    for k, weight in enumerate(weights):
      part = jax.lax.slice_in_dim(padded, k, k + length, axis=axis)
      total += weight * part
    image = total
  return image
