"""A mixture of Gaussians of vectors with noisy and missing parts.

The component of a vector is the most probable one of a guide, a first estimate
of the whole vector. Given the component, the vector has the exact conditional
of a Gaussian (`denoisers.masked_gaussian`), one for each vector instead of one
for each vector and component (Yu, Sapiro & Mallat 2012 assign in this spirit).
"""

import functools

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.masked_gaussian import in_chunks

Array = jax.Array

_CHUNK = 8192  # Vectors at a time.


@flax.struct.dataclass
class GuidedMixture:
  """A mixture of K Gaussians in D dimensions.

  Attributes:
    log_weights: Logarithms of the components' weights, [K].
    means: [K, D].
    covariances: [K, D, D].
  """

  log_weights: Array
  means: Array
  covariances: Array

  @functools.partial(jax.jit, static_argnames='noise_std')
  def assign(self, guide: Array, *, noise_std: float) -> Array:
    """The most probable component of each vector.

    Args:
      guide: Estimates of the whole vectors, [N, D].
      noise_std: Standard deviation of their errors.

    Returns:
      Indices, [N] int32.
    """
    variances, directions = jnp.linalg.eigh(self.covariances)
    variances = jnp.maximum(variances, 0) + noise_std**2
    scaled = directions / jnp.sqrt(variances)[:, None, :]
    log_det = jnp.sum(jnp.log(variances), axis=-1)

    def chunk(x: Array) -> Array:
      def one(parts: tuple[Array, Array]) -> Array:
        mean, scaled = parts
        return jnp.sum(((x - mean[None]) @ scaled) ** 2, axis=-1)

      squares = jax.lax.map(one, (self.means, scaled)).T
      log_joint = self.log_weights[None] - (squares + log_det[None]) / 2
      return jnp.argmax(log_joint, axis=-1)

    return in_chunks(chunk, _CHUNK, guide)


def from_gaussians(mixture: GaussianMixtureDenoiser) -> GuidedMixture:
  """The same mixture by its full covariances."""
  covariances = jnp.einsum(
    'kdr,kr,ker->kde', mixture.directions, mixture.variances, mixture.directions
  )
  return GuidedMixture(mixture.log_weights, mixture.means, covariances)
