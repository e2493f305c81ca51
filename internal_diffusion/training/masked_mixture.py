"""Fits a mixture of subspaces to vectors with missing parts.

Expectation-maximisation with hard assignments. The E-step is exact given what
is seen of each vector (`denoisers.masked_mixture`). In the M-step, each
coordinate d of a component is a linear regression on z of the vectors in which
d is seen (Ilin & Raiko 2010), with v = (z, 1):

  (W_d, m_d) = sum_n S_nd x_nd E[v_n]^T (sum_n S_nd E[v_n v_n^T] + rho I)^-1.

The ridge rho pulls towards the current row, which rarely seen coordinates keep.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.denoisers.masked_mixture import (
  Latent,
  MaskedMixture,
)
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_CHUNK = 1024
_RIDGE = 1.0  # rho, as a number of vectors with z of unit variance.
_NOISE_FLOOR = (0.5 * 2 / 255) ** 2  # Rounding of pixels to 8 bits, and more.


@with_own_settings
def fit_masked_mixture(
  vectors: Array,
  seen: Array,
  start: MaskedMixture,
  *,
  num_steps: int = 6,
) -> MaskedMixture:
  """Fits a mixture of subspaces to vectors with missing parts.

  Args:
    vectors: [N, D]; the values of missing parts are not used.
    seen: 1 where a vector is seen and 0 where not, [N, D].
    start: Mixture to start from.
    num_steps: Number of steps.

  Raises:
    ValueError: If the shapes do not fit.
  """
  arrays.check_positive_int('num_steps', num_steps)
  if vectors.shape != seen.shape or vectors.ndim != 2:
    raise ValueError(
      '`vectors` and `seen` must be [N, D], got shapes'
      f' {vectors.shape} and {seen.shape}.'
    )
  return _improve(vectors, seen.astype(jnp.float32), start, num_steps)


@functools.partial(jax.jit, static_argnames='num_steps')
def _improve(
  vectors: Array, seen: Array, start: MaskedMixture, num_steps: int
) -> MaskedMixture:
  def step(_: Array, mixture: MaskedMixture) -> MaskedMixture:
    return _step(mixture, jnp.where(seen > 0, vectors, 0), seen)

  return jax.lax.fori_loop(0, num_steps, step, start)


def _step(mixture: MaskedMixture, vectors: Array, seen: Array) -> MaskedMixture:
  num_components, dim, rank = mixture.loadings.shape
  size = rank + 1
  chunk = min(_CHUNK, len(vectors))
  padding = -len(vectors) % chunk

  def cut(values: Array) -> Array:
    edge = ((0, padding), (0, 0))
    return jnp.pad(values, edge).reshape(-1, chunk, dim)

  def add(total: Any, parts: tuple[Array, Array]) -> tuple[Any, None]:
    x, own_seen = parts
    found = mixture.infer(x, own_seen)
    return jax.tree.map(
      jnp.add, total, _sums(mixture, x, own_seen, found)
    ), None

  nothing = (
    jnp.zeros(num_components),
    jnp.zeros((num_components, dim, size * size)),
    jnp.zeros((num_components, dim, size)),
    jnp.zeros((num_components, 2)),
  )
  (num, products, targets, errors), _ = jax.lax.scan(
    add, nothing, (cut(vectors), cut(seen))
  )
  rows = jnp.concatenate([mixture.loadings, mixture.means[..., None]], axis=-1)
  system = products.reshape(num_components, dim, size, size)
  system += _RIDGE * jnp.eye(size)
  solved = jnp.linalg.solve(system, (targets + _RIDGE * rows)[..., None])[
    ..., 0
  ]
  noise = errors[:, 0] / jnp.maximum(errors[:, 1], 1)
  noise = jnp.where(errors[:, 1] > dim, noise, mixture.noise_variances)
  return MaskedMixture(
    jnp.log((num + 1) / jnp.sum(num + 1)),
    solved[..., -1],
    solved[..., :-1],
    jnp.maximum(noise, _NOISE_FLOOR),
  )


def _sums(
  mixture: MaskedMixture, x: Array, seen: Array, found: Latent
) -> tuple[Array, ...]:
  """Sums of one chunk by component: vectors, E[v v^T], x E[v], errors."""
  num_components = len(mixture.means)
  is_real = jnp.sum(seen, axis=-1) > 0
  one_hot = jax.nn.one_hot(found.component, num_components) * is_real[:, None]
  v = jnp.pad(found.mean, ((0, 0), (0, 1)), constant_values=1.0)
  edge = ((0, 0), (0, 1), (0, 1))
  second = v[:, :, None] * v[:, None, :] + jnp.pad(found.covariance, edge)
  flat = second.reshape(len(x), -1)

  def of_component(member: Array) -> tuple[Array, Array]:
    own_seen = (member[:, None] * seen).T
    return own_seen @ flat, (own_seen * x.T) @ v

  products, targets = jax.lax.map(of_component, one_hot.T)
  own = mixture.loadings[found.component]
  mean = mixture.means[found.component]
  mean += jnp.einsum('ndr,nr->nd', own, found.mean)
  spread = jnp.einsum('ndr,nrs->nds', own, found.covariance)
  variance = jnp.sum(spread * own, axis=-1)
  error = jnp.sum(seen * ((x - mean) ** 2 + variance), axis=-1)
  errors = one_hot.T @ jnp.stack([error, jnp.sum(seen, axis=-1)], axis=-1)
  return jnp.sum(one_hot, axis=0), products, targets, errors
