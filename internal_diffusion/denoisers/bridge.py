"""Exact denoisers of bridges: a finite set of pairs, and a joint Gaussian.

A bridge's state x at level sigma is Gaussian given its pair of ends
(`diffusion.bridges`), with r = sigma / sigma_max:

  mean x0 + r^2 (x1 - x0),   variance sigma^2 (1 - r^2).

At sigma_max the state is x1 itself; a little variance keeps the weights finite.
"""

import dataclasses
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from internal_diffusion.types import Condition, static

Array = jax.Array

_SMALLEST_FRACTION = 1e-6  # Of sigma^2, of the variance of a state.


def _ratio_and_variance(sigma: Array, sigma_max: float) -> tuple[Array, Array]:
  sigma = jnp.reshape(jnp.asarray(sigma, jnp.float32), (-1, 1))
  ratio = jnp.minimum((sigma / sigma_max) ** 2, 1.0)
  return ratio, sigma**2 * jnp.maximum(1 - ratio, _SMALLEST_FRACTION)


@flax.struct.dataclass
class PairsBridge:
  """The denoiser of bridges between pairs of a finite set.

  Attributes:
    first: Ends x0, [N, D].
    second: Ends x1, [M, D].
    log_plan: Logarithm of the probability of each pair, [N, M].
    sigma_max: Highest noise level.
  """

  first: Array
  second: Array
  log_plan: Array
  sigma_max: float = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """E[x0 | x] of states x [B, D]; see `Denoiser`."""
    del cond
    ratio, variance = _ratio_and_variance(sigma, self.sigma_max)
    ratio = ratio[..., None, None]
    mean = (1 - ratio) * self.first[None, :, None] + ratio * self.second[
      None, None
    ]
    squares = jnp.sum((x[:, None, None] - mean) ** 2, axis=-1)
    log_joint = self.log_plan[None] - squares / (2 * variance[..., None])
    weights = jax.nn.softmax(log_joint.reshape(len(x), -1), axis=-1)
    by_first = weights.reshape(len(x), *self.log_plan.shape).sum(axis=-1)
    return by_first @ self.first

  def swapped(self) -> Self:
    """The denoiser E[x1 | x] of the same bridges, run from the other end."""
    return dataclasses.replace(
      self, first=self.second, second=self.first, log_plan=self.log_plan.T
    )


@flax.struct.dataclass
class GaussianBridge:
  """The denoiser of bridges between ends that are jointly Gaussian.

  Attributes:
    mean: Mean of (x0, x1), [2 D].
    covariance: Covariance of (x0, x1), [2 D, 2 D].
    sigma_max: Highest noise level.
  """

  mean: Array
  covariance: Array
  sigma_max: float = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """E[x0 | x] of states x [B, D] at one level; see `Denoiser`."""
    del cond
    ratio, variance = (
      value[0, 0] for value in _ratio_and_variance(sigma, self.sigma_max)
    )
    dim = x.shape[-1]
    eye = jnp.eye(dim)
    mix = jnp.concatenate([(1 - ratio) * eye, ratio * eye], axis=1)
    inside = mix @ self.covariance @ mix.T + variance * eye
    gain = self.covariance[:dim] @ mix.T @ jnp.linalg.inv(inside)
    return self.mean[None, :dim] + (x - (mix @ self.mean)[None]) @ gain.T


def gaussian_schroedinger_bridge(
  first: tuple[ArrayLike, ArrayLike],
  second: tuple[ArrayLike, ArrayLike],
  *,
  sigma_max: float,
) -> GaussianBridge:
  """The Schroedinger bridge between two Gaussians (Janati et al. 2020).

  With S = S0^(1/2), the entropic plan has the cross-covariance

    C = (S (4 S S1 S + e^2 I)^(1/2) S^-1 - e I) / 2,   e = sigma_max^2.

  Args:
    first: Mean [D] and covariance [D, D] of x0.
    second: Mean and covariance of x1.
    sigma_max: Highest noise level.
  """
  (mean0, cov0), (mean1, cov1) = (
    tuple(jnp.asarray(part, jnp.float32) for part in end)
    for end in (first, second)
  )
  epsilon, eye = sigma_max**2, jnp.eye(len(mean0))
  root = _symmetric_root(cov0)
  middle = _symmetric_root(4 * root @ cov1 @ root + epsilon**2 * eye)
  cross = (root @ middle @ jnp.linalg.inv(root) - epsilon * eye) / 2
  covariance = jnp.block([[cov0, cross], [cross.T, cov1]])
  return GaussianBridge(jnp.concatenate([mean0, mean1]), covariance, sigma_max)


def _symmetric_root(matrix: Array) -> Array:
  values, vectors = jnp.linalg.eigh(matrix)
  return (vectors * jnp.sqrt(jnp.maximum(values, 0))[None]) @ vectors.T
