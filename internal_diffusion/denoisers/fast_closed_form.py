"""The closed form over the patches of an image, at nearly flat cost a patch.

The sum of `patch_tree` over all patches is split. With m_i the number of
patches that a patch of the thinned set stands for, and 0 for any other,

  sum_i w_i = sum_i m_i w_i + sum_i (1 - m_i) w_i,

where the first sum, the far field, is over the thinned set alone, and the
second is taken only over the leaves that matter most, the near field: in these
leaves the total is exact, elsewhere it is the thinned set's. Where sigma is
small against the patches' own spread the far field is left out.

Queries are grouped by leaf, so both sums are dense products. Distances are
taken in as many principal coordinates as the noise leaves visible.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import patches
from internal_diffusion.denoisers.patch_tree import PatchTree

Array = jax.Array

_NUM_NEAR = 8  # Leaves of the near field.
_MAX_BLOCK = 256  # Queries that are handled at once.


class _Mode(NamedTuple):
  """How a sum is taken: share of the principal coordinates, far field or no."""

  dim_share: float
  has_far: bool


# From much noise to little; where there is least, only the near field.
_MODES = (
  _Mode(0.1, True),
  _Mode(0.25, True),
  _Mode(1.0, True),
  _Mode(0.5, False),
)
# The first mode is taken whose distances leave out less variance than this
# share of the noise's.
_LOST_OF_NOISE = 0.05
# sigma^2 over the patches' total variance below which there is no far field,
# and above which the patches are as good as Gaussian.
_NEAR_BELOW, _GAUSSIAN_ABOVE = 0.01, 100.0


class _Sums(NamedTuple):
  """Sums of weights [...] and of weighted values [..., V] over exp(log_max)."""

  log_max: Array
  weight: Array
  value: Array


def _weigh(logits: Array, mass: Array, values: Array) -> _Sums:
  """Sums over patches of logits [N, S], mass [S] and values [S, V]."""
  log_max = jnp.max(logits, axis=-1)
  weight = mass[None] * jnp.exp(logits - log_max[:, None])
  return _Sums(log_max, jnp.sum(weight, axis=-1), weight @ values)


def _mean_of(sums: _Sums) -> Array:
  """The mean [N, V] that sums over several parts [N, K] make together."""
  scale = jnp.exp(sums.log_max - jnp.max(sums.log_max, axis=1, keepdims=True))
  total = jnp.einsum('nk,nkv->nv', scale, sums.value)
  return total / jnp.sum(scale * sums.weight, axis=1)[:, None]


def _leaf_scores(tree: PatchTree, z: Array, sigma: Array) -> Array:
  """Log weight [N, C] of leaves, each taken for a round Gaussian."""
  dim = tree.centre.shape[1]
  variance = sigma**2 + tree.spread
  z = z[:, :dim]
  distance = (
    jnp.sum(z**2, axis=-1)[:, None]
    - 2 * z @ tree.centre.T
    + jnp.sum(tree.centre**2, axis=-1)[None]
  )
  return -(distance / variance[None] + dim * jnp.log(variance)[None]) / 2


def _group_by_leaf(
  leaf: Array, num_leaves: int, block: int
) -> tuple[Array, Array, Array]:
  """Places queries of one leaf in blocks of their own.

  Returns:
    Leaf of each block [n], the query in each place [n * block] (N if none), and
    the place of each query [N].
  """
  num = len(leaf)
  num_blocks = num // block + num_leaves  # Every leaf may end with a rest.
  order = jnp.argsort(leaf)
  count = jnp.zeros(num_leaves, jnp.int32).at[leaf].add(1)
  blocks = -(-count // block)
  last_block, last_query = jnp.cumsum(blocks), jnp.cumsum(count)
  by_order = leaf[order]
  place = (last_block - blocks)[by_order] * block
  place += jnp.arange(num) - (last_query - count)[by_order]
  query = jnp.full(num_blocks * block, num).at[place].set(order)
  block_leaf = jnp.searchsorted(
    last_block, jnp.arange(num_blocks), side='right'
  )
  place_of = jnp.zeros(num, place.dtype).at[order].set(place)
  return jnp.minimum(block_leaf, num_leaves - 1), query, place_of


def _near_field(
  tree: PatchTree,
  z: Array,
  sigma: Array,
  values: Array,
  mass: Array,
  leaf: Array,
) -> _Sums:
  """Sums over some leaves [N, K] of each query, parts [N, K]."""
  num, dim = z.shape
  num_near = leaf.shape[1]
  leaves = tree.leaves[..., :dim]
  num_leaves = len(leaves)
  bias = -jnp.sum(leaves**2, axis=-1) / 2
  bias = jnp.where(tree.live, bias, -jnp.inf)
  per_leaf = num * num_near // (2 * num_leaves)
  block = min(_MAX_BLOCK, max(16, 2 ** int(np.log2(max(per_leaf, 1)))))
  block_leaf, query, place = _group_by_leaf(leaf.ravel(), num_leaves, block)
  padded = jnp.concatenate([z, jnp.zeros((1, dim))])

  def one_block(part: tuple[Array, Array]) -> _Sums:
    query, leaf = part
    logits = padded[query] @ leaves[leaf].T + bias[leaf][None]
    return _weigh(logits / sigma**2, mass[leaf], values[leaf])

  queries = (query // num_near).reshape(-1, block)
  found = jax.lax.map(one_block, (queries, block_leaf))
  place = place.reshape(num, num_near)
  return jax.tree.map(
    lambda a: a.reshape(len(query), *a.shape[2:])[place], found
  )


def _far_field(tree: PatchTree, z: Array, sigma: Array, values: Array) -> _Sums:
  """Sums over the thinned set, one part [N, 1], in blocks of queries."""
  num, dim = z.shape
  far = tree.far[:, :dim]
  bias = -jnp.sum(far**2, axis=-1) / 2
  mass = jnp.full(len(far), tree.far_mass)
  padded = jnp.pad(z, ((0, -num % _MAX_BLOCK), (0, 0)))

  def one_block(queries: Array) -> _Sums:
    logits = (queries @ far.T + bias[None]) / sigma**2
    return _weigh(logits, mass, values)

  found = jax.lax.map(one_block, padded.reshape(-1, _MAX_BLOCK, dim))
  return jax.tree.map(lambda a: a.reshape(-1, 1, *a.shape[2:])[:num], found)


def _sum_over_patches(
  tree: PatchTree,
  z: Array,
  sigma: Array,
  *,
  mode: _Mode,
  values: Array,
  far_values: Array,
) -> Array:
  """The posterior mean [N, V] of values."""
  num_near = min(_NUM_NEAR, len(tree.leaves))
  leaf = jax.lax.top_k(_leaf_scores(tree, z, sigma), num_near)[1]
  z = z[:, : _num_dims(tree, mode)]
  mass = tree.live.astype(jnp.float32)
  if not mode.has_far:
    return _mean_of(_near_field(tree, z, sigma, values, mass, leaf))
  mass = mass * jnp.where(tree.thinned, 1 - tree.far_mass, 1.0)
  near = _near_field(tree, z, sigma, values, mass, leaf)
  far = _far_field(tree, z, sigma, far_values)
  return _mean_of(
    jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), near, far)
  )


def _num_dims(tree: PatchTree, mode: _Mode) -> int:
  return max(1, round(mode.dim_share * tree.mean.shape[0]))


def _mode_index(tree: PatchTree, sigma: Array) -> Array:
  """Which of `_MODES` serves a noise level."""
  total = jnp.sum(tree.variance)
  allowed = _LOST_OF_NOISE * sigma**2
  is_enough = [
    jnp.sum(tree.variance[_num_dims(tree, mode) :]) <= allowed
    for mode in _MODES
  ]
  is_near = sigma**2 <= _NEAR_BELOW * total
  return jnp.where(
    is_near, len(_MODES) - 1, jnp.argmax(jnp.stack(is_enough[:-1]))
  )


def _posterior_mean(
  tree: PatchTree, x: Array, sigma: Array, values: Array, far_values: Array
) -> Array:
  """Posterior mean [N, V] of values of the patches, given x [N, D]."""
  z = (x - tree.mean[None]) @ tree.basis
  branches = [
    functools.partial(
      _sum_over_patches,
      tree,
      sigma=sigma,
      mode=mode,
      values=values,
      far_values=far_values,
    )
    for mode in _MODES
  ]
  return jax.lax.switch(_mode_index(tree, sigma), branches, z)


def _gaussian_mean(tree: PatchTree, x: Array, sigma: Array) -> Array:
  """Posterior mean [N, D] if the patches were Gaussian: a Wiener filter."""
  z = (x - tree.mean[None]) @ tree.basis
  gain = tree.variance / (tree.variance + sigma**2)
  return tree.mean[None] + (gain[None] * z) @ tree.basis.T


def denoise_patches(tree: PatchTree, x: Array, sigma: Array) -> Array:
  """Posterior mean of whole patches [N, D], given noisy ones [N, D].

  Args:
    tree: The patches.
    x: Noisy patches.
    sigma: Noise level, scalar.
  """

  def by_sums(x: Array) -> Array:
    mean = _posterior_mean(tree, x, sigma, tree.leaves, tree.far)
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
  *,
  patch_size: int,
  core_size: int,
) -> Array:
  """The same for the pixels around the centre alone, [N, V]."""
  return jax.lax.cond(
    _is_gaussian(tree, sigma),
    lambda x: patches.crop_patches(
      _gaussian_mean(tree, x, sigma), patch_size=patch_size, size=core_size
    ),
    lambda x: _posterior_mean(tree, x, sigma, tree.core, tree.far_core),
    x,
  )


def nearest_positions(tree: PatchTree, x: Array) -> Array:
  """Image, row and column [N, 3] of the patch that is nearest to x [N, D]."""
  z = (x - tree.mean[None]) @ tree.basis
  sigma = jnp.sqrt(1e-6 * jnp.sum(tree.variance))
  found = _sum_over_patches(
    tree,
    z,
    sigma,
    mode=_MODES[-1],
    values=tree.position,
    far_values=tree.far,
  )
  return jnp.round(found)


def _is_gaussian(tree: PatchTree, sigma: Array) -> Array:
  return sigma**2 > _GAUSSIAN_ABOVE * jnp.sum(tree.variance)
