"""The density of the closed form: a Gaussian around each vector of a set.

x0 is one of the vectors x0_j, so x = x0 + sigma eps has the density

  p(x) = 1/N sum_j N(x; x0_j, sigma^2 I)

(Parzen 1962). It is the density whose denoiser is `closed_form`. Of a vector of
the set itself it says nothing, unless that vector is left out, with all that
share its pixels: the places of patches say which.
"""

import functools

import jax
import jax.numpy as jnp

Array = jax.Array

_QUERY_CHUNK = 64


@functools.partial(jax.jit, static_argnames='radius')
def kernel_log_density(
  x: Array,
  references: Array,
  sigmas: Array,
  *,
  places: Array | None = None,
  reference_places: Array | None = None,
  radius: int = 0,
) -> Array:
  """Log densities at several noise levels, without the vectors nearby.

  Args:
    x: Vectors, [M, D].
    references: The set, [N, D].
    sigmas: Noise levels, [S], above 0.
    places: Row and column of each vector, [M, 2]; None leaves nothing out.
    reference_places: Row and column of each vector of the set, [N, 2].
    radius: A vector of the set is left out if its row and its column differ by
      less than this from the query's; 1 leaves out the place itself.

  Returns:
    Log densities in nats, [M, S]; -inf where no vector is left.
  """
  centre = jnp.mean(references, axis=0, keepdims=True)
  references, x = references - centre, x - centre
  norms = jnp.sum(references**2, axis=-1)
  dim = references.shape[-1]

  def of_one(query: tuple[Array, Array | None]) -> Array:
    vector, place = query
    products = jnp.matmul(
      references, vector, precision=jax.lax.Precision.HIGHEST
    )
    distance = jnp.maximum(norms - 2 * products + jnp.sum(vector**2), 0)
    kept = jnp.ones(len(references), bool)
    if place is not None and reference_places is not None:
      apart = jnp.abs(reference_places - place[None])
      kept = jnp.max(apart, axis=-1) >= radius
    distance = jnp.where(kept, distance, jnp.inf)
    squares = -distance[None] / (2 * sigmas[:, None] ** 2)
    num = jnp.maximum(jnp.sum(kept), 1)
    total = jax.nn.logsumexp(squares, axis=-1) - jnp.log(num)
    return total - dim * jnp.log(jnp.sqrt(2 * jnp.pi) * sigmas)

  return jax.lax.map(of_one, (x, places), batch_size=_QUERY_CHUNK)
