"""Gaussian vectors of which every coordinate is observed with its own noise.

x is Gaussian with mean m and covariance C. Coordinate d is observed with noise
of variance 1 / q_d; q_d = 0 where nothing is seen. With T = diag(sqrt(q)),

  E[x | y]    = m + C T (I + T C T)^-1 T (y - m)
  Cov[x | y]  = C - C T (I + T C T)^-1 T C,

which holds for any mixture of seen, noisy and missing coordinates. In single
precision, I + T C T must not be too badly conditioned, so q is bounded by
`_LARGEST_RATIO` over the trace of C. With the gain G, the covariance is
computed as (I - G) C (I - G)^T + G diag(1 / q) G^T, which has no negative
eigenvalues.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.matrix_inverse import inverse_of_positive

Array = jax.Array

_LARGEST_RATIO = 1e4  # Of a prior's total variance to that of the noise.


class Conditional(NamedTuple):
  """Vectors given their observations.

  Attributes:
    mean: Posterior means, [N, B, D].
    covariance: Posterior covariances, [N, D, D].
  """

  mean: Array
  covariance: Array


def condition(
  y: Array, precision: Array, mean: Array, covariance: Array
) -> Conditional:
  """Posterior of N Gaussian vectors, each of which is observed B times apart.

  Args:
    y: Observations, [N, B, D]; finite, also where the precision is 0.
    precision: Inverse variances q of the noise, at least 0, [N, D]; larger ones
      than the bound above count as the bound.
    mean: Prior means, [N, D].
    covariance: Prior covariances, [N, D, D].
  """
  trace = jnp.trace(covariance, axis1=1, axis2=2)[:, None]
  root = jnp.sqrt(jnp.minimum(precision, _LARGEST_RATIO / trace))
  inside = covariance * root[:, :, None] * root[:, None, :]
  inverse = inverse_of_positive(inside + jnp.eye(y.shape[-1])[None])
  # G diag(1 / sqrt(q)), which is finite where q is 0.
  scaled = (covariance * root[:, None, :]) @ inverse
  gain = scaled * root[:, None, :]
  shift = jnp.einsum('ndi,nbi->nbd', gain, y - mean[:, None])
  left = jnp.eye(y.shape[-1])[None] - gain
  posterior = left @ covariance @ jnp.swapaxes(left, 1, 2)
  posterior += scaled @ jnp.swapaxes(scaled, 1, 2)
  return Conditional(mean[:, None] + shift, posterior)


def in_chunks(function: Callable[..., Any], chunk: int, *values: Array) -> Any:
  """Applies a function of arrays [n, ...] to chunks of arrays [N, ...]."""
  num = len(values[0])
  chunk = min(chunk, num)

  def cut(values: Array) -> Array:
    edge = ((0, -num % chunk), *((0, 0),) * (values.ndim - 1))
    return jnp.pad(values, edge).reshape(-1, chunk, *values.shape[1:])

  out = jax.lax.map(lambda part: function(*part), tuple(map(cut, values)))
  return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:num], out)
