"""A mixture of subspaces, and what it says of the missing parts of vectors.

Component k is x = m_k + W_k z + s_k n with z and n standard normal, a mixture
of probabilistic principal component analysers (Tipping & Bishop 1999). A vector
is known where `seen`, S = diag(seen). Given the component, z has the posterior

  covariance  C = (I + W^T S W / s^2)^-1
  mean        z = C W^T S (x - m) / s^2,

which takes an R x R system for each vector, whatever its missing parts. The
component is the most probable one given what is seen.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.matrix_inverse import inverse_of_positive

Array = jax.Array

_CHUNK = 1024  # Vectors at a time; each takes R * R floats for a component.


class Completed(NamedTuple):
  """Vectors given their seen parts.

  Attributes:
    mean: Posterior mean of m + W z, [N, D].
    variance: Its posterior variance, [N, D].
  """

  mean: Array
  variance: Array


class Latent(NamedTuple):
  """Posterior of the component and of z.

  Attributes:
    component: The most probable component, [N] int32.
    mean: [N, R].
    covariance: [N, R, R].
  """

  component: Array
  mean: Array
  covariance: Array


@flax.struct.dataclass
class MaskedMixture:
  """A mixture of K subspaces of vectors with missing parts.

  Attributes:
    log_weights: Logarithms of the components' weights, [K].
    means: [K, D].
    loadings: W, [K, D, R].
    noise_variances: s^2, [K].
  """

  log_weights: Array
  means: Array
  loadings: Array
  noise_variances: Array

  def complete(self, x: Array, seen: Array) -> Completed:
    """Vectors x [N, D] given the parts where `seen` [N, D] is 1, not 0."""

    def chunk(parts: tuple[Array, Array]) -> Completed:
      found = self.infer(*parts)
      own = self.loadings[found.component]
      mean = self.means[found.component]
      mean += jnp.einsum('ndr,nr->nd', own, found.mean)
      spread = jnp.einsum('ndr,nrs->nds', own, found.covariance)
      variance = jnp.sum(spread * own, axis=-1)
      noise = self.noise_variances[found.component]
      return Completed(mean, variance + noise[:, None])

    return in_chunks(chunk, x, seen)

  def to_gaussians(self) -> GaussianMixtureDenoiser:
    """The same mixture by full covariances, W W^T + s^2 I."""
    covariances = jnp.einsum('kdr,ker->kde', self.loadings, self.loadings)
    variances, directions = jnp.linalg.eigh(covariances)
    variances = jnp.maximum(variances, 0) + self.noise_variances[:, None]
    return GaussianMixtureDenoiser(
      self.log_weights, self.means, directions, variances
    )

  def infer(self, x: Array, seen: Array) -> Latent:
    """Posterior of vectors [N, D], all at once; for one chunk."""
    component = jnp.argmax(self._log_joint(x, seen), axis=-1)
    own = self.loadings[component]
    noise = self.noise_variances[component]
    precision = jnp.einsum('nd,ndr,nds->nrs', seen, own, own)
    precision = precision / noise[:, None, None] + jnp.eye(own.shape[-1])[None]
    covariance = inverse_of_positive(precision)
    residual = seen * (x - self.means[component])
    inside = jnp.einsum('nd,ndr->nr', residual, own) / noise[:, None]
    mean = jnp.einsum('nrs,ns->nr', covariance, inside)
    return Latent(component, mean, covariance)

  def _log_joint(self, x: Array, seen: Array) -> Array:
    """Log density of the seen parts in each component, [N, K]."""
    num_seen = jnp.sum(seen, axis=-1)

    def one(parts: tuple[Array, Array, Array, Array]) -> Array:
      log_weight, mean, loading, noise = parts
      rank = loading.shape[-1]
      squares = (loading[:, :, None] * loading[:, None, :]).reshape(-1, rank**2)
      precision = (seen @ squares / noise).reshape(-1, rank, rank)
      factor = jnp.linalg.cholesky(precision + jnp.eye(rank)[None])
      residual = seen * (x - mean[None])
      inside = residual @ loading / noise
      whitened = jax.lax.linalg.triangular_solve(
        factor, inside[..., None], left_side=True, lower=True
      )
      quadratic = jnp.sum(residual**2, axis=-1) / noise
      quadratic -= jnp.sum(whitened[..., 0] ** 2, axis=-1)
      diagonal = jnp.diagonal(factor, axis1=1, axis2=2)
      log_det = 2 * jnp.sum(jnp.log(diagonal), axis=-1)
      log_det += num_seen * jnp.log(noise)
      return log_weight - (quadratic + log_det) / 2

    parts = (self.log_weights, self.means, self.loadings, self.noise_variances)
    return jax.lax.map(one, parts).T


def from_gaussians(
  mixture: GaussianMixtureDenoiser, *, rank: int, noise_std: float | Array
) -> MaskedMixture:
  """The subspaces of the largest eigenvalues of a mixture of Gaussians."""
  order = jnp.argsort(-mixture.variances, axis=1)[:, :rank]
  variances = jnp.take_along_axis(mixture.variances, order, axis=1)
  directions = jnp.take_along_axis(
    mixture.directions, order[:, None, :], axis=2
  )
  noise = jnp.full(len(mixture.means), jnp.float32(noise_std) ** 2)
  loadings = directions * jnp.sqrt(variances)[:, None, :]
  return MaskedMixture(mixture.log_weights, mixture.means, loadings, noise)


def in_chunks(function: Callable[[Any], Any], *values: Array) -> Any:
  """Applies a function of a tuple of arrays [n, ...] to chunks of them."""
  num = len(values[0])
  chunk = min(_CHUNK, num)
  padding = -num % chunk

  def cut(values: Array) -> Array:
    edge = ((0, padding), *((0, 0),) * (values.ndim - 1))
    return jnp.pad(values, edge).reshape(-1, chunk, *values.shape[1:])

  out = jax.lax.map(function, tuple(map(cut, values)))
  return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:num], out)
