"""The learned denoiser of p(delta | source, target), delta = (x, y) in pixels.

A pair of patches is encoded once; a small network then denoises as often as a
sampler likes. With the prior N(0, s^2 I) of delta, the encoder gives a Gaussian
likelihood of precision P and a mean m, hence the posterior N(m, C), C = (P +
I / s^2)^-1, whose denoiser is known:

  g(x; sigma) = m + C (C + sigma^2 I)^-1 (x - m).

The network adds what is not Gaussian (several places that look alike, the
endless line of an edge, two motions in one patch):

  D(x; sigma) = g + L F(R^-1 (g - m), sigma, code),

with R the triangular root of C and L that of (C^-1 + I / sigma^2)^-1, which
the noise leaves open. At high noise g - m vanishes, so D is the mean whatever x
is, and sigma^2 dD/dx the covariance.
"""

from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from internal_diffusion.data import pair_features
from internal_diffusion.data.pair_features import PairEncoding
from internal_diffusion.types import Condition, Params

Array = jax.Array

_GAUSSIAN_SIZE = 5  # m and the three numbers of R.
_LOG_RANGE = (-6.0, 5.0)  # Of the root of P's diagonal, in 1 / pixels.


class DisplacementParams(NamedTuple):
  """All that the denoiser knows.

  Attributes:
    network: Parameters of the network, trained.
    encoding: Fitted to the pairs once.
  """

  network: Params
  encoding: PairEncoding


class Gaussian(NamedTuple):
  """The Gaussian part of what an encoder says.

  Attributes:
    mean: m, [N, 2] in pixels.
    root: R, lower triangular with R R^T = C, [N, 2, 2].
  """

  mean: Array
  root: Array


class DisplacementMLP(nn.Module):
  """Encoder and head.

  Attributes:
    width: Of the encoder's residual stream.
    depth: Number of its residual blocks.
    code_size: How much the head is told beside the Gaussian.
    head_width: Of its two hidden layers.
  """

  width: int
  depth: int
  code_size: int = 32
  head_width: int = 64

  def setup(self) -> None:
    """The layers."""
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
    """All layers once, to make their parameters."""
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
    level = jnp.stack([log_sigma, jnp.sin(log_sigma), jnp.cos(log_sigma)], -1)
    hidden = jnp.concatenate([z, level, code], axis=-1)
    for layer in self.head:
      hidden = nn.gelu(layer(hidden))
    return self.correction(hidden)


def encode(
  network: DisplacementMLP,
  params: DisplacementParams,
  source: Array,
  target: Array,
  sigma_aug: Array,
) -> Array:
  """The vector of a condition, from pairs of patches.

  Args:
    network: The network.
    params: Its parameters and the encoding.
    source: [N, P*P].
    target: [N, P*P].
    sigma_aug: Noise level of their pixels, [N].

  Returns:
    m, the three numbers of R by rows, and the code: [N, 5 + code_size].
  """
  features, estimate = pair_features.features_of(
    params.encoding, source, target, sigma_aug
  )
  output = network.apply(params.network, features, method='encode')
  output = cast(Array, output)
  mean = estimate + output[:, :2]
  low, high = jnp.exp(jnp.clip(output[:, 2:4], *_LOG_RANGE)).T
  skew = output[:, 4]
  prior = params.encoding.stddev**-2
  # The posterior's precision is that of the likelihood and of the prior.
  xx, xy, yy = low**2 + prior, low * skew, skew**2 + high**2 + prior
  root_xx = jnp.sqrt(yy / (xx * yy - xy**2))
  root = [root_xx, -xy / yy * root_xx, jax.lax.rsqrt(yy)]
  return jnp.concatenate(
    [mean, jnp.stack(root, axis=-1), output[:, _GAUSSIAN_SIZE:]], axis=-1
  )


def gaussian_of(vector: Array) -> Gaussian:
  """The Gaussian part of what `encode` returns."""
  xx, yx, yy = jnp.moveaxis(vector[:, 2:_GAUSSIAN_SIZE], -1, 0)
  root = jnp.stack([xx, jnp.zeros_like(xx), yx, yy], axis=-1)
  return Gaussian(vector[:, :2], root.reshape(-1, 2, 2))


def negative_log_likelihood(gaussian: Gaussian, delta: Array) -> Array:
  """Of delta [N, 2] under Gaussians, but for a constant, [N]."""
  z = _solve(gaussian.root, delta - gaussian.mean)
  log_determinant = jnp.log(gaussian.root[:, 0, 0] * gaussian.root[:, 1, 1])
  return jnp.sum(z**2, axis=-1) / 2 + log_determinant


def denoise(
  network: DisplacementMLP,
  params: DisplacementParams,
  x: Array,
  sigma: Array,
  cond: Condition | None,
) -> Array:
  """The denoiser D.

  Args:
    network: The network.
    params: Its parameters.
    x: Noisy displacements, [N, 2] in pixels.
    sigma: Noise level in pixels, scalar or [N].
    cond: Its vector is what `encode` returned, [N, 5 + code_size].

  Raises:
    ValueError: If there is no such vector.
  """
  return _denoise_and_scale(network, params, x, sigma, cond)[0]


def weighted_loss(
  network: DisplacementMLP,
  params: DisplacementParams,
  delta: Array,
  x: Array,
  sigma: Array,
  cond: Condition,
) -> Array:
  """Squared errors of D, in units of what the Gaussian leaves open, [N].

  Args:
    network: The network.
    params: Its parameters.
    delta: The truth, [N, 2].
    x: The truth with noise, [N, 2].
    sigma: Its level, [N].
    cond: As in `denoise`.
  """
  denoised, scale = _denoise_and_scale(network, params, x, sigma, cond)
  errors = _solve(jax.lax.stop_gradient(scale), denoised - delta)
  return jnp.sum(errors**2, axis=-1)


def _denoise_and_scale(
  network: DisplacementMLP,
  params: DisplacementParams,
  x: Array,
  sigma: Array,
  cond: Condition | None,
) -> tuple[Array, Array]:
  """D [N, 2], and the root of the covariance that noise leaves, [N, 2, 2]."""
  if cond is None or cond.vector is None:
    raise ValueError('`cond.vector` must be what `encode` returns, got None.')
  sigma = jnp.broadcast_to(sigma, x.shape[:1])
  mean, root = gaussian_of(cond.vector)
  precision = _inverse(root @ root.mT)
  left = _root_of_inverse(
    precision + sigma[:, None, None] ** -2 * jnp.eye(2)[None]
  )
  moved = (left @ left.mT @ (x - mean)[..., None])[..., 0] / sigma[:, None] ** 2
  corrected = network.apply(
    params.network,
    _solve(root, moved),
    jnp.log(sigma / params.encoding.stddev),
    cond.vector[:, _GAUSSIAN_SIZE:],
    method='correct',
  )
  change = (left @ cast(Array, corrected)[..., None])[..., 0]
  return mean + moved + change, left


def _inverse(matrix: Array) -> Array:
  """Of symmetric matrices [N, 2, 2]."""
  xx, xy, yy = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
  entries = jnp.stack([yy, -xy, -xy, xx], axis=-1)
  return (entries / (xx * yy - xy**2)[:, None]).reshape(-1, 2, 2)


def _root_of_inverse(matrix: Array) -> Array:
  """The lower triangular root of the inverses of matrices [N, 2, 2]."""
  xx, xy, yy = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
  root_xx = jnp.sqrt(yy / (xx * yy - xy**2))
  entries = [root_xx, jnp.zeros_like(xx), -xy / yy * root_xx]
  entries.append(jax.lax.rsqrt(yy))
  return jnp.stack(entries, axis=-1).reshape(-1, 2, 2)


def _solve(root: Array, values: Array) -> Array:
  """The solutions z [N, 2] of root z = values, root lower triangular."""
  first = values[:, 0] / root[:, 0, 0]
  second = (values[:, 1] - root[:, 1, 0] * first) / root[:, 1, 1]
  return jnp.stack([first, second], axis=-1)
