"""The learned denoiser of p(delta | source, target), delta = (x, y) in pixels.

A pair of patches is encoded once; a small network then denoises as often as a
sampler needs. With the prior N(0, s^2 I) of delta, the encoder gives a mean m
and a Gaussian likelihood of precision P, hence the posterior N(m, C) with C =
(P + I / s^2)^-1, whose denoiser is known:

  g(x; sigma) = m + C (C + sigma^2 I)^-1 (x - m).

The network adds a correction for posteriors that are not Gaussian (several
matches, the aperture problem along an edge, two motions in one patch):

  D(x; sigma) = g + L F(R^-1 (g - m), sigma, code),

where R is the triangular root of C, and L that of (C^-1 + I / sigma^2)^-1, the
covariance of the Gaussian posterior given x. At high noise g - m vanishes, so D
is the posterior mean for every x, and sigma^2 dD/dx the covariance.
"""

from typing import NamedTuple, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.applications.flow import small_matrices
from internal_diffusion.applications.flow.features import (
  PairEncoding,
  pair_features,
)
from internal_diffusion.types import Condition, Params, static

Array = jax.Array

_GAUSSIAN_SIZE = 5  # m and the three numbers of R.
_LOG_RANGE = (-6.0, 5.0)  # Of the root of P's diagonal, in 1 / pixels.


class Gaussian(NamedTuple):
  """The Gaussian part of an encoded pair.

  Attributes:
    mean: m in pixels, [N, 2].
    root: R, lower triangular with R R^T = C, [N, 2, 2].
  """

  mean: Array
  root: Array


class DisplacementMLP(nn.Module):
  """Encoder of pairs and head of the denoiser.

  Attributes:
    width: Width of the encoder's residual stream.
    depth: Number of its residual blocks.
    code_size: Length of the code that the head receives beside the Gaussian.
    head_width: Width of the head's two hidden layers.
  """

  width: int
  depth: int
  code_size: int = 32
  head_width: int = 64

  def setup(self) -> None:
    """Makes the layers."""
    dense, normal = nn.Dense, nn.initializers.he_normal()
    self.first = dense(self.width, kernel_init=normal)
    self.inner = [
      dense(self.width, kernel_init=normal) for _ in range(self.depth)
    ]
    # Small, so that a deep network starts near the identity.
    small = nn.initializers.variance_scaling(0.2, 'fan_in', 'normal')
    self.outer = [
      dense(self.width, kernel_init=small) for _ in range(self.depth)
    ]
    zeros = nn.initializers.zeros
    self.gaussian = dense(_GAUSSIAN_SIZE, kernel_init=zeros)
    self.code = dense(self.code_size)
    self.head = [dense(self.head_width, kernel_init=normal) for _ in range(2)]
    self.correction = dense(2, kernel_init=zeros)

  def __call__(self, features: Array) -> Array:
    """Runs all layers once, which makes their parameters."""
    output = self.encode(features)
    z = output[:, :2]
    return self.correct(z, z[:, 0], output[:, _GAUSSIAN_SIZE:])

  def encode(self, features: Array) -> Array:
    """Features [N, F] to [N, 5 + code_size]."""
    hidden = self.first(features)
    for inner, outer in zip(self.inner, self.outer, strict=True):
      hidden += outer(nn.gelu(inner(nn.gelu(hidden))))
    hidden = nn.gelu(hidden)
    return jnp.concatenate([self.gaussian(hidden), self.code(hidden)], axis=-1)

  def correct(self, z: Array, log_sigma: Array, code: Array) -> Array:
    """F: [N, 2], [N] and [N, code_size] to [N, 2]."""
    noise = jnp.stack([log_sigma, jnp.sin(log_sigma), jnp.cos(log_sigma)], -1)
    hidden = jnp.concatenate([z, noise, code], axis=-1)
    for layer in self.head:
      hidden = nn.gelu(layer(hidden))
    return self.correction(hidden)


@flax.struct.dataclass
class LearnedDisplacement:
  """The learned denoiser of displacements; see the module's docstring.

  Attributes:
    params: Parameters of the network, the only leaves that are trained.
    encoding: Whitening of pairs, fitted once.
    network: The network.
  """

  params: Params
  encoding: PairEncoding
  network: DisplacementMLP = static()

  def encode(self, source: Array, target: Array, sigma_aug: Array) -> Array:
    """The condition's vector of pairs of patches.

    Args:
      source: Source patches, [N, P*P].
      target: Target patches, [N, P*P].
      sigma_aug: Noise level of the patches, [N].

    Returns:
      m, the three numbers of R by rows, and the code: [N, 5 + code_size].
    """
    features, estimate = pair_features(self.encoding, source, target, sigma_aug)
    output = cast(
      Array, self.network.apply(self.params, features, method='encode')
    )
    low, high = jnp.exp(jnp.clip(output[:, 2:4], *_LOG_RANGE)).T
    skew = output[:, 4]
    prior = self.encoding.stddev**-2
    # Precision of the posterior: the likelihood's plus the prior's.
    xy = low * skew
    entries = [low**2 + prior, xy, xy, skew**2 + high**2 + prior]
    precision = jnp.stack(entries, axis=-1).reshape(-1, 2, 2)
    root = small_matrices.lower_root_of_inverse(precision)
    triangle = jnp.stack([root[:, 0, 0], root[:, 1, 0], root[:, 1, 1]], axis=-1)
    return jnp.concatenate(
      [estimate + output[:, :2], triangle, output[:, _GAUSSIAN_SIZE:]], axis=-1
    )

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises displacements.

    Args:
      x: Noisy displacements in pixels, [N, 2].
      sigma: Noise level in pixels, scalar or [N].
      cond: Condition whose vector is a result of `encode`, [N, 5 + code_size].

    Raises:
      ValueError: If the condition has no vector.
    """
    return self._denoise(x, sigma, cond)[0]

  def weighted_error(
    self, delta: Array, x: Array, sigma: Array, cond: Condition
  ) -> Array:
    """Squared errors of D relative to the Gaussian posterior given x, [N].

    Args:
      delta: True displacements, [N, 2].
      x: True displacements plus noise, [N, 2].
      sigma: Noise level, [N].
      cond: Condition, as in a call.
    """
    denoised, root = self._denoise(x, sigma, cond)
    errors = small_matrices.solve_lower(
      jax.lax.stop_gradient(root), denoised - delta
    )
    return jnp.sum(errors**2, axis=-1)

  def _denoise(
    self, x: Array, sigma: Array, cond: Condition | None
  ) -> tuple[Array, Array]:
    """D [N, 2], and L [N, 2, 2]."""
    if cond is None or cond.vector is None:
      raise ValueError('`cond.vector` must be what `encode` returns, got None.')
    sigma = jnp.broadcast_to(sigma, x.shape[:1])
    mean, root = gaussian_of(cond.vector)
    precision = small_matrices.inverse(root @ root.mT)
    noise = sigma[:, None, None] ** -2 * jnp.eye(2)[None]
    open_root = small_matrices.lower_root_of_inverse(precision + noise)
    gain = open_root @ open_root.mT
    moved = (gain @ (x - mean)[..., None])[..., 0] / sigma[:, None] ** 2
    corrected = self.network.apply(
      self.params,
      small_matrices.solve_lower(root, moved),
      jnp.log(sigma / self.encoding.stddev),
      cond.vector[:, _GAUSSIAN_SIZE:],
      method='correct',
    )
    change = (open_root @ cast(Array, corrected)[..., None])[..., 0]
    return mean + moved + change, open_root


def gaussian_of(vector: Array) -> Gaussian:
  """The Gaussian part of the vectors that `encode` returns."""
  root = small_matrices.lower_triangular(
    *jnp.moveaxis(vector[:, 2:_GAUSSIAN_SIZE], -1, 0)
  )
  return Gaussian(vector[:, :2], root)


def negative_log_likelihood(gaussian: Gaussian, delta: Array) -> Array:
  """Of displacements [N, 2] under Gaussians, without the constant, [N]."""
  z = small_matrices.solve_lower(gaussian.root, delta - gaussian.mean)
  log_determinant = jnp.log(gaussian.root[:, 0, 0] * gaussian.root[:, 1, 1])
  return jnp.sum(z**2, axis=-1) / 2 + log_determinant
