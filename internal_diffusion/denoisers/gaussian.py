"""A Gaussian, whose denoiser and probability flow are known exactly.

x0 ~ N(mean, covariance), with eigenvalues v and eigenvectors V of the
covariance. The denoiser is the Wiener filter,

  E[x0 | x] = mean + V diag(v / (v + sigma^2)) V^T (x - mean).

The probability flow has dx/dsigma = sigma x / (v + sigma^2) along an
eigenvector, so it takes x at noise level sigma to

  x(0) = mean + V diag(sqrt(v / (v + sigma^2))) V^T (x - mean).

Samplers and training are tested against both.
"""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.types import Condition

Array = jax.Array


@flax.struct.dataclass
class GaussianDenoiser:
  """The exact denoiser of a Gaussian.

  Attributes:
    mean: [D].
    variances: Eigenvalues of the covariance, [D].
    directions: Eigenvectors in columns, [D, D].
  """

  mean: Array
  variances: Array
  directions: Array

  @classmethod
  def create(cls, mean: ArrayLike, covariance: ArrayLike) -> Self:
    """The denoiser of N(mean [D], covariance [D, D])."""
    variances, directions = np.linalg.eigh(np.asarray(covariance))
    parts = (np.asarray(mean), variances, directions)
    return cls(*(jnp.asarray(part, jnp.float32) for part in parts))

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """The Wiener filter of x [B, D]; see `Denoiser`."""
    del cond
    variance = _column(sigma) ** 2
    variances = self.variances[None]
    return self._scaled(x, variances / (variances + variance))

  def flow(self, x: Array, sigma: Array) -> Array:
    """The end of the probability flow that passes x [B, D] at `sigma`."""
    variances = self.variances[None]
    ratio = variances / (variances + _column(sigma) ** 2)
    return self._scaled(x, jnp.sqrt(ratio))

  def _scaled(self, x: Array, factors: Array) -> Array:
    origin = self.mean[None]
    along = (x - origin) @ self.directions
    return origin + (along * factors) @ self.directions.T


def _column(sigma: Array) -> Array:
  """A scalar noise level, or one for each sample, as a column."""
  return jnp.reshape(jnp.asarray(sigma), (-1, 1))
