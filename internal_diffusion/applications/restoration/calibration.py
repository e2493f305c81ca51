"""Uncertainty by damaging the restored picture again.

The restored picture is damaged in the same way and restored once more. The
errors of that are known. Their local size is the standard deviation of the
error, up to a factor: a restored picture is smoother than the true one, and so
easier to restore.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_WIDTH = 3.0  # Standard deviation of the window of a local mean, in pixels.
_QUANTILE = 1.6449  # Of a Gaussian's absolute value at 90%.


def local_std(errors: np.ndarray, *, factor: float, floor: float) -> np.ndarray:
  """Standard deviation of errors around each pixel.

  Args:
    errors: Known errors of the second restoration, [H, W, C].
    factor: Ratio of the errors of the first restoration to these.
    floor: Smallest standard deviation.

  Returns:
    [H, W, C].
  """
  squares = _smooth(jax.device_put(np.asarray(errors, np.float32) ** 2))
  return np.maximum(factor * np.sqrt(np.asarray(squares)), floor)


def calibrating_factor(errors: np.ndarray, std: np.ndarray) -> float:
  """Factor of the standard deviations at which a 90% interval holds 90%.

  Args:
    errors: Known errors, [N].
    std: Their predicted standard deviations, [N], positive.
  """
  ratio = np.abs(errors) / std
  return float(np.quantile(ratio, 0.9)) / _QUANTILE


@jax.jit
def _smooth(image: Array) -> Array:
  """Gaussian blur of an image [H, W, C], with reflected borders."""
  radius = int(np.ceil(3 * _WIDTH))
  place = np.arange(-radius, radius + 1) / _WIDTH
  weights = np.exp(-(place**2) / 2).astype(np.float32)
  weights /= weights.sum()
  for axis in (0, 1):
    around = [(0, 0)] * 3
    around[axis] = (radius, radius)
    padded = jnp.pad(image, around, mode='edge')
    length = image.shape[axis]
    image = sum(
      weight * jax.lax.slice_in_dim(padded, k, k + length, axis=axis)
      for k, weight in enumerate(weights)
    )
  return image
