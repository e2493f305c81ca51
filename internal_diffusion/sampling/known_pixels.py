"""Known pixels of an image, and known frames and pixels of a clip."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data.resampling import resample
from internal_diffusion.sampling.constraints import Constraint

Array = jax.Array


@flax.struct.dataclass
class KnownPixels(Constraint):
  """Some pixels are known, and stay as they are bit for bit.

  Make it with `make_known_pixels`.

  Attributes:
    known: True where a pixel is known, [H, W, 1], or [T, H, W, 1] of a clip.
    values: The known pixels, [H, W, C] or [T, H, W, C]; 0 elsewhere.
  """

  known: Array
  values: Array

  def at_size(self, size: Any) -> 'KnownPixels':
    """The same at another (height, width), or (length, height, width).

    A pixel of the new size is known where more than half of what it averages
    is, and it is the average of that.
    """
    part = resample(self.known.astype(jnp.float32), size)
    known = part > 0.5
    mean = resample(self.values, size) / jnp.where(known, part, 1)
    return KnownPixels(known, jnp.where(known, mean, 0))

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """The estimate [..., H, W, C] with the known pixels in their places."""
    del key, x, sigma
    known, values = (
      own.reshape((1,) * (denoised.ndim - own.ndim) + own.shape)
      for own in (self.known, self.values)
    )
    return jnp.where(known, values, denoised)


def make_known_pixels(known: np.ndarray, image: np.ndarray) -> KnownPixels:
  """The constraint that some pixels of an image or a clip are known.

  Args:
    known: Booleans [H, W], or [T, H, W] of a clip.
    image: Image [H, W, C], or clip [T, H, W, C]; any values where not known.

  Raises:
    ValueError: If the shapes or the type do not fit.

  Example:
    >>> known = make_known_pixels(np.eye(2, dtype=bool), np.ones((2, 2, 1)))
    >>> estimate = jnp.zeros((1, 2, 2, 1))
    >>> known.project(None, estimate, estimate, 0.0)[0, ..., 0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
  """
  known, image = np.asarray(known), np.asarray(image, np.float32)
  if known.dtype != np.bool_ or known.shape != image.shape[:-1]:
    raise ValueError(
      f'`known` must be booleans {list(image.shape[:-1])}, one for each pixel,'
      f' got {known.dtype} {list(known.shape)}.'
    )
  mask = known[..., None]
  return KnownPixels(
    jax.device_put(mask), jax.device_put(np.where(mask, image, 0))
  )
