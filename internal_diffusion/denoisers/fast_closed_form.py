"""The closed form over the patches of an image, at nearly constant cost.

At low noise levels, few patches have weight, and the sum of `patch_tree` covers
the leaves that `leaf_search` finds, in as many principal coordinates as
distinguish patches. At higher noise levels, the sum covers all patches. At the
highest, the patches are equivalent to a Gaussian, and no sum is needed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import patches
from internal_diffusion.denoisers import leaf_search
from internal_diffusion.denoisers.patch_tree import PatchTree

Array = jax.Array

# Ratios of sigma^2 to the patches' total variance: below the first, near leaves
# have all the weight; above the second, the patches are as good as Gaussian.
_NEAR_BELOW, _GAUSSIAN_ABOVE = 0.02, 100.0
# Principal coordinates for distances in near leaves: a fraction, and a minimum.
_DIM_FRACTION, _LEAST_DIMS = 0.5, 320
# Up to this number, the sum always covers all patches: it is fast, and compiles
# faster.
_FEW_PATCHES = 4096
_MAX_BLOCK = 256  # Number of queries that are compared with all at once.


class _Sums(NamedTuple):
  """Sums of weights [...] and weighted values [..., V], over exp(log_max)."""

  log_max: Array
  weight: Array
  value: Array


def _weigh(logits: Array, values: Array) -> _Sums:
  """Sums over patches, from logits [N, S] and values [S, V]."""
  log_max = jnp.max(logits, axis=-1)
  weight = jnp.exp(logits - log_max[:, None])
  return _Sums(log_max, jnp.sum(weight, axis=-1), weight @ values)


def _coordinates(tree: PatchTree, x: Array, dim: int | None = None) -> Array:
  """First principal coordinates of patches [N, D]."""
  return (x - tree.mean[None]) @ tree.basis[:, :dim]


def _near_coordinates(tree: PatchTree, x: Array) -> Array:
  dim = tree.mean.shape[0]
  return _coordinates(tree, x, max(round(_DIM_FRACTION * dim), _LEAST_DIMS))


def _mean_over_near(
  tree: PatchTree, x: Array, sigma: Array, places: np.ndarray, values: Array
) -> Array:
  """Posterior mean of values [N, V], over the near leaves."""
  z = _near_coordinates(tree, x)
  leaf = leaf_search.coherent_leaves(tree, z, sigma, places)

  def weigh(score: Array, leaf: Array) -> _Sums:
    return _weigh(score / sigma**2, values[leaf])

  sums = leaf_search.over_leaves(tree, z, leaf, weigh)
  log_max = jnp.where(leaf < len(tree.leaves), sums.log_max, -jnp.inf)
  scale = jnp.exp(log_max - jnp.max(log_max, axis=1, keepdims=True))
  total = jnp.einsum('nk,nkv->nv', scale, sums.value)
  return total / jnp.sum(scale * sums.weight, axis=1)[:, None]


def _mean_over_all(
  tree: PatchTree, x: Array, sigma: Array, values: Array
) -> Array:
  """Posterior mean of values [N, V], over all leaves."""
  z = _coordinates(tree, x)
  num, dim = z.shape
  leaves = tree.leaves.reshape(-1, dim)
  bias = -jnp.sum(leaves**2, axis=-1) / 2
  bias = jnp.where(tree.live.ravel(), bias, -jnp.inf)
  values = values.reshape(len(leaves), -1)
  block = min(_MAX_BLOCK, num)

  def one_block(queries: Array) -> Array:
    logits = (queries @ leaves.T + bias[None]) / sigma**2
    sums = _weigh(logits, values)
    return sums.value / sums.weight[:, None]

  padded = jnp.pad(z, ((0, -num % block), (0, 0)))
  means = jax.lax.map(one_block, padded.reshape(-1, block, dim))
  return means.reshape(len(padded), -1)[:num]


def _posterior_mean(
  tree: PatchTree, x: Array, sigma: Array, places: np.ndarray, values: Array
) -> Array:
  if tree.live.size <= _FEW_PATCHES:
    return _mean_over_all(tree, x, sigma, values)
  is_near = sigma**2 <= _NEAR_BELOW * jnp.sum(tree.variance)
  return jax.lax.cond(
    is_near,
    lambda x: _mean_over_near(tree, x, sigma, places, values),
    lambda x: _mean_over_all(tree, x, sigma, values),
    x,
  )


def _gaussian_mean(tree: PatchTree, x: Array, sigma: Array) -> Array:
  """Posterior mean [N, D] for Gaussian patches: a Wiener filter."""
  gain = tree.variance / (tree.variance + sigma**2)
  z = gain[None] * _coordinates(tree, x)
  return tree.mean[None] + z @ tree.basis.T


def _is_gaussian(tree: PatchTree, sigma: Array) -> Array:
  return sigma**2 > _GAUSSIAN_ABOVE * jnp.sum(tree.variance)


def denoise_patches(
  tree: PatchTree, x: Array, sigma: Array, places: np.ndarray
) -> Array:
  """Posterior mean of whole patches, [N, D].

  Args:
    tree: Reference patches.
    x: Noisy patches of one image, [N, D].
    sigma: Noise level, scalar.
    places: Row and column of the noisy patches in their image, in units of the
      reference patches' distance, [N, 2].
  """

  def by_sums(x: Array) -> Array:
    mean = _posterior_mean(tree, x, sigma, places, tree.leaves)
    return tree.mean[None] + mean @ tree.basis.T

  return jax.lax.cond(
    _is_gaussian(tree, sigma),
    lambda x: _gaussian_mean(tree, x, sigma),
    by_sums,
    x,
  )


def denoise_cores(
  tree: PatchTree,
  x: Array,
  sigma: Array,
  places: np.ndarray,
  *,
  patch_size: patches.PatchShape,
  core_size: patches.PatchShape,
) -> Array:
  """Posterior mean of the patches' cores, [N, V]; see `denoise_patches`."""

  def by_filter(x: Array) -> Array:
    mean = _gaussian_mean(tree, x, sigma)
    return patches.crop_patches(mean, patch_size=patch_size, size=core_size)

  return jax.lax.cond(
    _is_gaussian(tree, sigma),
    by_filter,
    lambda x: _posterior_mean(tree, x, sigma, places, tree.core),
    x,
  )


def nearest_positions(tree: PatchTree, x: Array, places: np.ndarray) -> Array:
  """`PatchTree.position` [N, 3] of the nearest patches to x [N, D]."""
  z = _near_coordinates(tree, x)
  leaf = leaf_search.coherent_leaves(tree, z, jnp.float32(0), places)
  return leaf_search.nearest_in(tree, z, leaf)
