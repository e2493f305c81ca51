"""A Gaussian, for which denoiser and probability flow are known exactly.

x0 ~ N(mean, covariance), with eigenvalues v and eigenvectors V of the
covariance. The denoiser is the Wiener filter,

  E[x0 | x] = mean + V diag(v / (v + sigma^2)) V^T (x - mean).

The probability flow has dx/dsigma = sigma x / (v + sigma^2) along an
eigenvector, so it takes x at level sigma to

  x(0) = mean + V diag(sqrt(v / (v + sigma^2))) V^T (x - mean).

They are what samplers and training are checked against.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion.types import Condition, DenoiseFn

Array = jax.Array


def _scaled(
  mean: ArrayLike,
  covariance: ArrayLike,
  factor_fn: Callable[[Array, Array], Array],
) -> Callable[[Array, Array], Array]:
  """x, sigma -> mean + V diag(factor_fn(v, sigma)) V^T (x - mean)."""
  centre = np.asarray(mean)
  variances, vectors = np.linalg.eigh(np.asarray(covariance))

  def scale(x: Array, sigma: Array) -> Array:
    # A scalar sigma, or one for each sample.
    level = jnp.reshape(jnp.asarray(sigma), (-1, 1))
    factors = factor_fn(jnp.asarray(variances)[None], level)
    origin, basis = jnp.asarray(centre)[None], jnp.asarray(vectors)
    return origin + ((x - origin) @ basis * factors) @ basis.T

  return scale


def make_gaussian_denoise_fn(
  mean: ArrayLike, covariance: ArrayLike
) -> DenoiseFn:
  """The exact denoiser of N(mean [D], covariance [D, D]), for x [B, D]."""
  wiener = _scaled(mean, covariance, lambda v, sigma: v / (v + sigma**2))

  def denoise_fn(
    x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    del cond
    return wiener(x, sigma)

  return denoise_fn


def make_gaussian_flow_fn(
  mean: ArrayLike, covariance: ArrayLike
) -> Callable[[Array, Array], Array]:
  """`flow_fn(x, sigma)`: where the probability flow takes x [B, D] to."""
  return _scaled(
    mean, covariance, lambda v, sigma: jnp.sqrt(v / (v + sigma**2))
  )
