"""Search for the leaves of a tree of patches that are near to a query.

A leaf consists of small groups of neighbours, and the centre of a group bounds
their distance. Where noise hides the distance, a query's neighbours in the
image help: a patch near to one query, shifted by the queries' offset, is near
to the next (Ashikhmin 2001; Barnes et al. 2009). So a few queries, the anchors,
search first, and all other queries receive candidates from the anchors around
them.

Queries are grouped by leaf, so that a search of leaves is a dense product.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import cKDTree

from internal_diffusion import arrays
from internal_diffusion.denoisers.patch_tree import PatchTree

Array = jax.Array

_T = TypeVar('_T')
_MAX_BLOCK = 256  # Largest number of queries in a block.
_ANCHOR_STEP = 3  # Distance of anchors, relative to that of queries.
_NUM_ANCHOR_LEAVES = 16  # Number of leaves that an anchor searches.
# Number of leaves that an anchor shares, if their nearest patch has at least
# this weight relative to the nearest of all.
_NUM_SHARED, _LEAST_WEIGHT = 4, 1e-3


def best_leaves(tree: PatchTree, z: Array, sigma: Array, *, num: int) -> Array:
  """The leaves whose groups of patches are nearest to queries [N, D], [N, num].

  The model of a group is an isotropic Gaussian; the score of a leaf is that of
  its most likely group.
  """
  num_leaves, num_groups, dim = tree.centre.shape
  centre = tree.centre.reshape(-1, dim)
  variance = sigma**2 + tree.spread.ravel()
  dim = min(dim, z.shape[1])
  centre, z = centre[:, :dim], z[:, :dim]
  distance = (
    jnp.sum(z**2, axis=-1)[:, None]
    - 2 * z @ centre.T
    + jnp.sum(centre**2, axis=-1)[None]
  )
  score = -(distance / variance[None] + dim * jnp.log(variance)[None]) / 2
  score = jnp.max(score.reshape(-1, num_leaves, num_groups), axis=-1)
  # Without the barrier XLA turns a slice of the result into a full sort.
  return jax.lax.optimization_barrier(jax.lax.top_k(score, num)[1])


def over_leaves(
  tree: PatchTree,
  z: Array,
  leaf: Array,
  function: Callable[[Array, Array], _T],
) -> _T:
  """Applies a function to the queries and the patches of some of the leaves.

  Args:
    tree: Reference patches.
    z: Queries in the first d principal coordinates, [N, d].
    leaf: Leaves of the queries, [N, K]; the number of leaves means none.
    function: `(score [n, S], leaf) -> results [n, ...]` for n queries and one
      leaf. The score is -|z - y|^2 / 2 up to a constant of the query, and -inf
      for copies that fill a leaf.

  Returns:
    The results, [N, K, ...]; undefined where there is no leaf.
  """
  num, dim = z.shape
  num_near = leaf.shape[1]
  num_leaves, size = tree.live.shape
  per_leaf = num * num_near // (2 * num_leaves)
  block = min(_MAX_BLOCK, max(16, 2 ** int(np.log2(max(per_leaf, 1)))))
  groups = _group_by_leaf(leaf.ravel(), num_leaves, block)
  queries = (groups.query // num_near).reshape(-1, block)
  padded = jnp.concatenate([z, jnp.zeros((1, dim))])

  def one_block(index: Array | int) -> _T:
    leaf = groups.leaf[index]
    near = jax.lax.dynamic_slice(tree.leaves, (leaf, 0, 0), (1, size, dim))[0]
    bias = jnp.where(tree.live[leaf], -jnp.sum(near**2, axis=-1) / 2, -jnp.inf)
    score = padded[queries[index]] @ near.T + bias[None]
    return function(score, leaf)

  def add_block(index: Array, results: _T) -> _T:
    return jax.tree.map(
      lambda all_, one: jax.lax.dynamic_update_index_in_dim(
        all_, one, index, 0
      ),
      results,
      one_block(index),
    )

  results = jax.tree.map(
    lambda one: jnp.zeros((len(queries), *one.shape), one.dtype),
    jax.eval_shape(one_block, 0),
  )
  results = jax.lax.fori_loop(0, groups.num_blocks, add_block, results)
  place = groups.place.reshape(num, num_near)
  return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[place], results)


class _Groups(NamedTuple):
  """Queries in blocks; all queries of a block have one leaf.

  Attributes:
    leaf: Leaf of each block, [n].
    query: Query in each place of all blocks, [n * block]; N where there is
      none.
    place: Place of each query, [N]; 0 if it has none.
    num_blocks: Number of blocks in use.
  """

  leaf: Array
  query: Array
  place: Array
  num_blocks: Array


def _group_by_leaf(leaf: Array, num_leaves: int, block: int) -> _Groups:
  """Groups queries into blocks by their leaf [N]."""
  num = len(leaf)
  # The last block of each leaf may be partial.
  num_places = (num // block + num_leaves) * block
  order = jnp.argsort(leaf)
  count = jnp.zeros(num_leaves, jnp.int32).at[leaf].add(1, mode='drop')
  blocks = -(-count // block)
  last_block, last_query = jnp.cumsum(blocks), jnp.cumsum(count)
  by_order = leaf[order]
  place = (last_block - blocks)[by_order] * block
  place += jnp.arange(num) - (last_query - count)[by_order]
  place = jnp.where(by_order < num_leaves, place, num_places)
  query = jnp.full(num_places, num).at[place].set(order, mode='drop')
  block_leaf = jnp.searchsorted(
    last_block, jnp.arange(num_places // block), side='right'
  )
  place_of = jnp.zeros(num, place.dtype).at[order].set(place % num_places)
  return _Groups(block_leaf, query, place_of, last_block[-1])


def _nearest_in_each(
  tree: PatchTree, z: Array, leaf: Array
) -> tuple[Array, Array]:
  """Score [N, K] and position [N, K, 3] of the nearest patch of each leaf."""

  def nearest(score: Array, leaf: Array) -> tuple[Array, Array]:
    index = arrays.index_of_largest(score)
    return jnp.max(score, axis=-1), tree.position[leaf, index]

  score, position = over_leaves(tree, z, leaf, nearest)
  return jnp.where(leaf < len(tree.leaves), score, -jnp.inf), position


def nearest_in(tree: PatchTree, z: Array, leaf: Array) -> Array:
  """Positions [N, 3] of the patches in leaves [N, K] nearest to z [N, d]."""
  score, position = _nearest_in_each(tree, z, leaf)
  index = jnp.argmax(score, axis=1)
  return jnp.take_along_axis(position, index[:, None, None], axis=1)[:, 0]


def coherent_leaves(
  tree: PatchTree, z: Array, sigma: Array, places: np.ndarray
) -> Array:
  """Candidate leaves of the queries of one image, from the anchors around.

  Each of the four nearest anchors contributes the leaf of its nearest patch,
  shifted by the offset of the query; the nearest anchor also contributes all
  its leaves with weight.

  Args:
    tree: Reference patches.
    z: Queries in the first d principal coordinates, [N, d].
    sigma: Noise level of the queries.
    places: Row and column of the queries, in units of the reference patches'
      distance, [N, 2]; of clips frame, row and column, [N, 3].

  Returns:
    Leaves [N, K]; a repeated leaf is replaced by the number of leaves.
  """
  num_leaves = len(tree.leaves)
  anchors, around = _find_anchors(places)
  leaf = best_leaves(
    tree, z[anchors], sigma, num=min(_NUM_ANCHOR_LEAVES, num_leaves)
  )
  score, position = _nearest_in_each(tree, z[anchors], leaf)
  score, order = jax.lax.top_k(score, min(_NUM_SHARED, num_leaves))
  best = jnp.take_along_axis(position, order[:, :1, None], axis=1)[:, 0]
  has_weight = score - score[:, :1] > np.log(_LEAST_WEIGHT) * sigma**2
  shared = jnp.where(
    has_weight, jnp.take_along_axis(leaf, order, axis=1), num_leaves
  )
  moved = np.round(places[:, None] - places[anchors][around]).astype(np.int32)
  last = np.array(tree.leaf_at.shape[1:]) - 1
  place = (
    jnp.clip(best[around, 1 + axis] + moved[..., axis], 0, last[axis])
    for axis in range(len(last))
  )
  offered = tree.leaf_at[best[around, 0], *place]
  leaf = jnp.concatenate([offered, shared[around[:, 0]]], axis=1)
  same = leaf[:, :, None] == leaf[:, None, :]
  before = np.tril(np.ones(same.shape[1:], bool), -1)
  is_new = ~jnp.any(same & before[None], axis=-1)
  return jnp.where(is_new, leaf, num_leaves)


def _find_anchors(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """One query of each square [M], and the four nearest of each query [N, 4]."""
  steps = [
    np.median(np.diff(np.unique(axis))) if np.ptp(axis) else 1
    for axis in places.T
  ]
  square = np.floor_divide(places, _ANCHOR_STEP * max(steps))
  _, anchors = np.unique(square, axis=0, return_index=True)
  num = min(4, len(anchors))
  around = cKDTree(places[anchors]).query(places, k=num)[1]
  return anchors, around.reshape(len(places), num)
