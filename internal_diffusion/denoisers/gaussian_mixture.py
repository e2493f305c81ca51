"""A mixture of Gaussians: its denoiser, density, samples and posterior samples.

Component k has weight w_k, mean m_k and covariance U_k diag(v_k) U_k^T. With
noise of level sigma, x = x0 + sigma eps has the density

  p(x) = sum_k w_k N(x; m_k, U_k diag(v_k + sigma^2) U_k^T),

r_k(x) is the posterior probability of component k, and given the component the
posterior of x0 is a Gaussian along the eigenvectors, z = U_k^T (x - m_k),

  mean      v_k / (v_k + sigma^2) z        (the Wiener filter)
  variance  v_k sigma^2 / (v_k + sigma^2).

So the posterior of x0 is a mixture of Gaussians too (Zoran & Weiss 2011; Yu,
Sapiro & Mallat 2012). `training.gaussian_mixture` fits one to noisy vectors.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import Condition

Array = jax.Array

_CHUNK = 2048  # Vectors at a time; each takes K * D floats, twice.
_SMALLEST_VARIANCE = 1e-9  # Of x: a component may be flat and sigma 0.


class Posterior(NamedTuple):
  """Mean and variance of x0 given x.

  Attributes:
    mean: [B, D].
    variance: Variance of each coordinate, [B, D].
    degrees: Expected number of directions that the noise leaves free, sum_k r_k
      sum_j v_kj / (v_kj + sigma^2), [B].
  """

  mean: Array
  variance: Array
  degrees: Array


@flax.struct.dataclass
class GaussianMixtureDenoiser:
  """The exact denoiser of a mixture of K Gaussians.

  Attributes:
    log_weights: Logarithms of the components' weights, [K].
    means: [K, D].
    directions: Eigenvectors of the covariances in columns, [K, D, R]. With R
      below D, all components lie in one subspace of R dimensions.
    variances: Eigenvalues of the covariances, [K, R].
  """

  log_weights: Array
  means: Array
  directions: Array
  variances: Array

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of x [B, D]; see `Denoiser`."""
    del cond
    return self.posterior_mean(x, sigma)[0]

  def posterior_mean(self, x: Array, sigma: Array) -> tuple[Array, Array]:
    """The mean [B, D] and `degrees` [B] of `posterior`, in half the time."""

    def chunk(x: Array, sigma: Array) -> tuple[Array, Array]:
      mean, weights, gain, _ = self._posterior_mean(x, sigma)
      return mean, jnp.sum(weights * jnp.sum(gain, axis=-1), axis=-1)

    return _map_chunks(chunk, x, sigma)

  def posterior(self, x: Array, sigma: Array) -> Posterior:
    """Mean and variance of x0 given x [B, D] at noise level `sigma`."""
    return _map_chunks(self._posterior, x, sigma)

  def log_density(self, x: Array, sigma: Array) -> Array:
    """Log density of vectors x [B, D] at noise level `sigma`, in nats, [B]."""

    def chunk(x: Array, sigma: Array) -> Array:
      along, _, log_joint = self._coordinates(x, sigma)
      density = jax.nn.logsumexp(log_joint, axis=-1)
      num_outside = self.means.shape[-1] - along.shape[-1]
      if not num_outside:
        return density
      # Outside of the subspace there is noise alone.
      squares = jnp.sum((x - self.means[0][None]) ** 2, axis=-1)
      squares -= jnp.sum(along[:, 0] ** 2, axis=-1)
      noise = jnp.maximum(sigma[:, 0] ** 2, _SMALLEST_VARIANCE)
      return (
        density
        - (squares / noise + num_outside * jnp.log(2 * np.pi * noise)) / 2
      )

    return _map_chunks(chunk, x, sigma)

  def sample(self, key: Array, num: int) -> Array:
    """Samples of x0, [num, D]."""
    which_key, noise_key = jax.random.split(key)
    which = jax.random.categorical(which_key, self.log_weights, shape=(num,))
    eps = jax.random.normal(noise_key, (num, self.variances.shape[-1]))
    along = jnp.sqrt(self.variances)[which] * eps
    return self._synthesise(which, along)

  def sample_posterior(self, key: Array, x: Array, sigma: Array) -> Array:
    """Samples of x0 given x [B, D] at noise level `sigma`, [B, D]."""
    which_key, noise_key = jax.random.split(key)

    def chunk(x: Array, sigma: Array, gumbel: Array, eps: Array) -> Array:
      along, variance, log_joint = self._coordinates(x, sigma)
      which = jnp.argmax(log_joint + gumbel, axis=-1)
      rows = jnp.arange(len(x))
      prior = self.variances[which]
      gain = prior / variance[jnp.minimum(rows, len(variance) - 1), which]
      spread = jnp.sqrt(gain) * sigma
      return self._synthesise(which, gain * along[rows, which] + spread * eps)

    gumbel = jax.random.gumbel(which_key, (len(x), len(self.means)))
    eps = jax.random.normal(noise_key, (len(x), self.variances.shape[-1]))
    return _map_chunks(chunk, x, sigma, gumbel, eps)

  def _coordinates(self, x: Array, sigma: Array) -> tuple[Array, Array, Array]:
    """Coordinates and log joint densities of x [B, D], sigma [B, 1] or [1, 1].

    Returns:
      z, [B, K, R]; variances of z, v + sigma^2, [B or 1, K, R]; and log w_k
      N(x; ...) in the subspace, [B, K].
    """
    num, dim, rank = self.directions.shape
    flat = jnp.moveaxis(self.directions, 1, 0).reshape(dim, num * rank)
    offsets = jnp.einsum('kd,kdr->kr', self.means, self.directions)
    along = (x @ flat).reshape(-1, num, rank) - offsets[None]
    variance = self.variances[None] + sigma[..., None] ** 2
    variance = jnp.maximum(variance, _SMALLEST_VARIANCE)
    squares = jnp.sum(along**2 / variance, axis=-1)
    log_det = jnp.sum(jnp.log(2 * np.pi * variance), axis=-1)
    return along, variance, self.log_weights[None] - (squares + log_det) / 2

  def _posterior_mean(self, x: Array, sigma: Array) -> tuple[Array, ...]:
    """The mean [B, D], and its parts: r [B, K], gains and weighted z."""
    along, variance, log_joint = self._coordinates(x, sigma)
    weights = jax.nn.softmax(log_joint, axis=-1)
    gain = self.variances[None] / variance
    num, dim, rank = self.directions.shape
    back = jnp.swapaxes(self.directions, 1, 2).reshape(num * rank, dim)
    inside = weights[..., None] * (gain * along)
    mean = weights @ self.means + inside.reshape(len(x), -1) @ back
    return mean, weights, gain, along

  def _posterior(self, x: Array, sigma: Array) -> Posterior:
    """See `posterior`, for sigma [B, 1] or [1, 1].

    The variance is that within components and that between their means.
    """
    mean, weights, gain, along = self._posterior_mean(x, sigma)
    num, dim, rank = self.directions.shape
    # Means of the components themselves, for the variance between them.
    means = self.means[None] + jnp.einsum(
      'bkr,kdr->bkd', gain * along, self.directions
    )
    between = jnp.sum(weights[..., None] * (means - mean[:, None]) ** 2, axis=1)
    squares = jnp.swapaxes(self.directions**2, 1, 2).reshape(num * rank, dim)
    inside = (weights * sigma**2)[..., None] * gain
    within = inside.reshape(len(x), -1) @ squares
    degrees = jnp.sum(weights * jnp.sum(gain, axis=-1), axis=-1)
    return Posterior(mean, within + between, degrees)

  def _synthesise(self, which: Array, along: Array) -> Array:
    """m_k + U_k z of components `which` [B] and coordinates z [B, R]."""

    def one(which: Array, along: Array) -> Array:
      return self.means[which] + self.directions[which] @ along

    return jax.lax.map(lambda pair: one(*pair), (which, along), batch_size=256)


def _map_chunks(
  function: Callable[..., Any], x: Array, sigma: Array, *more: Array
) -> Any:
  """Applies a function to chunks of vectors x [B, D] and noise levels.

  The function gets sigma as [1, 1], or as [B, 1] where each vector has its own.
  """
  sigma = jnp.reshape(jnp.asarray(sigma, jnp.float32), (-1, 1))
  own = len(sigma) > 1
  num_chunks = -(-len(x) // _CHUNK)
  if num_chunks == 1:
    return function(x, sigma, *more)
  values = (x, *((sigma,) if own else ()), *more)
  padding = num_chunks * _CHUNK - len(x)

  def cut(values: Array) -> Array:
    edge = ((0, padding), *((0, 0),) * (values.ndim - 1))
    shape = (num_chunks, _CHUNK, *values.shape[1:])
    return jnp.pad(values, edge).reshape(shape)

  def apply(parts: tuple[Array, ...]) -> Any:
    return function(*parts) if own else function(parts[0], sigma, *parts[1:])

  out = jax.lax.map(apply, tuple(map(cut, values)))
  return jax.tree.map(
    lambda part: part.reshape(-1, *part.shape[2:])[: len(x)], out
  )
