"""Fits a mixture of Gaussians to vectors with noisy and missing parts.

A step of expectation-maximisation with hard assignments. With the posterior
mean e_n and covariance P_n of vector n given its component k,

  m_k = mean of e_n,   C_k = mean of (e_n - m_k)(e_n - m_k)^T + P_n.

Without P_n, the mixture would become sure of its own guesses. A component of
few vectors is drawn to the average covariance of all components.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.denoisers.masked_gaussian import condition
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_CHUNK = 512  # Vectors at a time; each takes a few D * D floats.
_AVERAGE = 5.0  # Weight of the average covariance, as a number of vectors.


@with_own_settings
def improve_guided_mixture(
  mixture: GuidedMixture, vectors: Array, precision: Array, component: Array
) -> GuidedMixture:
  """One step of expectation-maximisation.

  Args:
    mixture: Mixture of K Gaussians.
    vectors: [N, D]; finite, but not used where the precision is 0.
    precision: Inverse variances of their noise, 0 where missing, [N, D].
    component: Component of each vector, [N] int32.

  Raises:
    ValueError: If the shapes do not fit.
  """
  if vectors.shape != precision.shape or vectors.ndim != 2:
    raise ValueError(
      '`vectors` and `precision` must be [N, D], got shapes'
      f' {vectors.shape} and {precision.shape}.'
    )
  return _improve(mixture, vectors, precision, component)


@jax.jit
def _improve(
  mixture: GuidedMixture, vectors: Array, precision: Array, component: Array
) -> GuidedMixture:
  num_components, dim = mixture.means.shape
  add = functools.partial(_add_chunk, mixture)
  nothing = (
    jnp.zeros(num_components),
    jnp.zeros((num_components, dim)),
    jnp.zeros((num_components, dim * dim)),
  )
  is_real = jnp.ones(len(vectors))
  parts = tuple(map(_cut, (vectors, precision, component, is_real)))
  (num, shifts, seconds), _ = jax.lax.scan(add, nothing, parts)
  count = jnp.maximum(num, 1)[:, None]
  shift = shifts / count
  covariances = (seconds / count).reshape(-1, dim, dim)
  covariances -= shift[:, :, None] * shift[:, None, :]
  covariances = (covariances + jnp.swapaxes(covariances, 1, 2)) / 2
  average = jnp.tensordot(num / jnp.sum(num), covariances, axes=1)
  share = (_AVERAGE / (num + _AVERAGE))[:, None, None]
  return GuidedMixture(
    jnp.log((num + 1) / jnp.sum(num + 1)),
    mixture.means + shift,
    (1 - share) * covariances + share * average[None],
  )


def _cut(values: Array) -> Array:
  """Chunks of the first axis; the last one is filled with zeros."""
  chunk = min(_CHUNK, len(values))
  edge = ((0, -len(values) % chunk), *((0, 0),) * (values.ndim - 1))
  return jnp.pad(values, edge).reshape(-1, chunk, *values.shape[1:])


def _add_chunk(
  mixture: GuidedMixture, total: Any, parts: tuple[Array, ...]
) -> tuple[Any, None]:
  """Adds numbers, shifts of the mean and second moments by component."""
  x, precision, component, is_real = parts
  mean = mixture.means[component]
  found = condition(x[:, None], precision, mean, mixture.covariances[component])
  shift = found.mean[:, 0] - mean
  second = found.covariance + shift[:, :, None] * shift[:, None, :]
  one_hot = jax.nn.one_hot(component, len(mixture.means)) * is_real[:, None]
  sums = (
    jnp.sum(one_hot, axis=0),
    one_hot.T @ shift,
    one_hot.T @ second.reshape(len(x), -1),
  )
  return jax.tree.map(jnp.add, total, sums), None
