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

from typing import cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.applications.flow import small_matrices
from internal_diffusion.applications.flow.features import (
  PairEncoding,
  pair_features,
)
from internal_diffusion.denoisers.dense import Dense
from internal_diffusion.types import Params, static

Array = jax.Array

_GAUSSIAN_SIZE = 5  # m and the three numbers of R.
_CODE_SIZE, _HEAD_WIDTH = 32, 64
_LOG_RANGE = (-6.0, 5.0)  # Of the root of P's diagonal, in 1 / pixels.


class DisplacementMLP(nn.Module):
  """Encoder of pairs and head of the denoiser.

  Attributes:
    width: Width of the encoder's residual stream.
    depth: Number of its residual blocks.
  """

  width: int
  depth: int

  def setup(self) -> None:
    """Makes the layers."""
    dense, normal = Dense, nn.initializers.he_normal()
    # Small, so that a deep network starts near the identity.
    small = nn.initializers.variance_scaling(0.2, 'fan_in', 'normal')
    zeros, blocks = nn.initializers.zeros, range(self.depth)
    self.first = dense(self.width, kernel_init=normal)
    self.inner = [dense(self.width, kernel_init=normal) for _ in blocks]
    self.outer = [dense(self.width, kernel_init=small) for _ in blocks]
    self.gaussian = dense(_GAUSSIAN_SIZE, kernel_init=zeros)
    self.code = dense(_CODE_SIZE)
    self.head = [dense(_HEAD_WIDTH, kernel_init=normal) for _ in range(2)]
    self.correction = dense(2, kernel_init=zeros)

  def __call__(self, features: Array) -> Array:
    """Runs all layers once, which makes their parameters."""
    output = self.encode(features)
    z = output[:, :2]
    return self.correct(z, z[:, 0], output[:, _GAUSSIAN_SIZE:])

  def encode(self, features: Array) -> Array:
    """Features [N, F] to the Gaussian and the code, [N, 5 + 32]."""
    hidden = self.first(features)
    for inner, outer in zip(self.inner, self.outer, strict=True):
      hidden += outer(nn.gelu(inner(nn.gelu(hidden))))
    hidden = nn.gelu(hidden)
    return jnp.concatenate([self.gaussian(hidden), self.code(hidden)], axis=-1)

  def correct(self, z: Array, log_sigma: Array, code: Array) -> Array:
    """F: [N, 2], [N] and [N, 32] to [N, 2]."""
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
    """Vectors of m, R by rows and the code, [N, 37].

    Args:
      source: Source patches, [N, P*P].
      target: Target patches, [N, P*P].
      sigma_aug: Noise level of the patches, [N].
    """
    features, estimate = pair_features(self.encoding, source, target, sigma_aug)
    output = cast(
      Array, self.network.apply(self.params, features, method='encode')
    )
    low, high = jnp.exp(jnp.clip(output[:, 2:4], *_LOG_RANGE)).T
    skew, prior = output[:, 4], self.encoding.stddev**-2
    root = small_matrices.lower_root_of_inverse(
      small_matrices.symmetric(
        low**2 + prior, low * skew, skew**2 + high**2 + prior
      )
    )
    triangle = jnp.stack([root[:, 0, 0], root[:, 1, 0], root[:, 1, 1]], axis=-1)
    return jnp.concatenate(
      [estimate + output[:, :2], triangle, output[:, _GAUSSIAN_SIZE:]], axis=-1
    )

  def denoise(self, x: Array, sigma: Array, vector: Array) -> Array:
    """Denoised displacements, [N, 2]; see `FlowModel`."""
    return self._denoise(x, sigma, vector)[0]

  def weighted_error(
    self, delta: Array, x: Array, sigma: Array, vector: Array
  ) -> Array:
    """Squared errors of D relative to the Gaussian posterior given x, [N].

    Args:
      delta: True displacements, [N, 2].
      x: True displacements plus noise, [N, 2].
      sigma: Noise level, [N].
      vector: Vectors that `encode` returns, [N, 37].
    """
    denoised, root = self._denoise(x, sigma, vector)
    root = jax.lax.stop_gradient(root)
    errors = small_matrices.solve_lower(root, denoised - delta)
    return jnp.sum(errors**2, axis=-1)

  def _denoise(
    self, x: Array, sigma: Array, vector: Array
  ) -> tuple[Array, Array]:
    """D [N, 2], and L [N, 2, 2]."""
    sigma = jnp.broadcast_to(sigma, x.shape[:1])
    mean, root = gaussian_of(vector)
    precision = small_matrices.inverse(root @ root.mT)
    noise = sigma[:, None, None] ** -2 * jnp.eye(2)[None]
    open_root = small_matrices.lower_root_of_inverse(precision + noise)
    gain = open_root @ open_root.mT
    moved = (gain @ (x - mean)[..., None])[..., 0] / sigma[:, None] ** 2
    corrected = self.network.apply(
      self.params,
      small_matrices.solve_lower(root, moved),
      jnp.log(sigma / self.encoding.stddev),
      vector[:, _GAUSSIAN_SIZE:],
      method='correct',
    )
    change = (open_root @ cast(Array, corrected)[..., None])[..., 0]
    return mean + moved + change, open_root


def gaussian_of(vector: Array) -> tuple[Array, Array]:
  """The mean m [N, 2] and the root R [N, 2, 2] in vectors of `encode`."""
  triangle = vector[:, 2:_GAUSSIAN_SIZE].T
  return vector[:, :2], small_matrices.lower_triangular(*triangle)


def negative_log_likelihood(vector: Array, delta: Array) -> Array:
  """Of displacements [N, 2] under N(m, C), without the constant, [N]."""
  mean, root = gaussian_of(vector)
  z = small_matrices.solve_lower(root, delta - mean)
  log_determinant = jnp.log(root[:, 0, 0] * root[:, 1, 1])
  return jnp.sum(z**2, axis=-1) / 2 + log_determinant
