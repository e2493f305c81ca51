"""The patches of one image, sorted into a balanced tree for fast sums.

The closed form needs, for every noisy patch, a sum over all patches y_i,

  D(x; sigma) = sum_i w_i y_i / sum_i w_i,  w_i = exp(-|x - y_i|^2 / 2 sigma^2).

Where sigma is small, few patches have weight. A tree, built once on the host,
halves the patches along the direction of their largest variance, so that
patches with weight are in few leaves. All leaves have the same number of
patches: the sum over a leaf is a dense product of a fixed shape.

All vectors are in principal coordinates; the first few have most of the
variance.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
import threadpoolctl

from internal_diffusion.data.patches import (
  PatchShape,
  sides_of,
  strides_of,
)

Array = jax.Array

LEAF_SIZE = 256
GROUP_SIZE = 16
# Numbers of principal coordinates that split the patches and score the leaves.
_NUM_SPLIT_DIMS = 32
_NUM_SCORE_DIMS = 64


class PatchTree(NamedTuple):
  """All patches of an image, in C leaves of S patches.

  Attributes:
    mean: Mean of the patches, [D].
    basis: Principal directions in columns, [D, D].
    variance: Variance of each principal coordinate, decreasing, [D].
    leaves: Principal coordinates, [C, S, D].
    core: Pixels around the centre of each patch, [C, S, V].
    position: Index of a patch's image, and its row and column among the patches
      there, [C, S, 3] int32; of clips its frame, row and column, [C, S, 4].
    leaf_at: Leaf of the patch at each position, [I, rows, columns] int32.
    live: Mask of the patches; False is a copy that fills a leaf, [C, S].
    centre: Mean of each of the G groups of neighbours of a leaf, in the first d
      coordinates, [C, G, d].
    spread: Variance of the groups, mean over the d coordinates, [C, G].
  """

  mean: Array
  basis: Array
  variance: Array
  leaves: Array
  core: Array
  position: Array
  leaf_at: Array
  live: Array
  centre: Array
  spread: Array


# Threads that wait for each other make small products slow on a busy machine.
@threadpoolctl.threadpool_limits.wrap(limits=1, user_api='blas')
def build_patch_tree(
  images: np.ndarray,
  *,
  patch_size: PatchShape,
  core_size: PatchShape,
  stride: PatchShape = 1,
) -> PatchTree:
  """Sorts the patches of an image, or of several.

  Args:
    images: Images, [I, H, W, C] in [-1, 1], or clips, [I, T, H, W, C].
    patch_size: Side P of a patch, odd, or its sides.
    core_size: Side of the central square of a patch that `core` holds, odd, at
      most P, or its sides.
    stride: Distance of neighbouring patches, in pixels, or one for each axis.

  Returns:
    The tree. Its number of leaves is a power of 2.
  """
  images = np.asarray(images, np.float32)
  sides, num_axes = sides_of(patch_size), images.ndim - 2
  axes = tuple(range(1, 1 + num_axes))
  views = np.lib.stride_tricks.sliding_window_view(images, sides, axes)
  # [I, rows, columns, C, P, P] without a copy.
  steps = (slice(None, None, n) for n in strides_of(stride, num_axes))
  views = views[:, *steps]
  grid = views.shape[: 1 + num_axes]
  inner: list[Any] = [...]
  inner += [
    slice((side - core) // 2, (side + core) // 2)
    for side, core in zip(sides, sides_of(core_size), strict=True)
  ]
  vectors, core = (
    np.moveaxis(part, 1 + num_axes, -1).reshape(np.prod(grid), -1)
    for part in (views, views[tuple(inner)])
  )
  mean = np.mean(vectors, axis=0)
  centred = vectors - mean
  variance, basis = np.linalg.eigh(centred.T @ centred / len(vectors))
  variance, basis = np.maximum(variance[::-1], 0), basis[:, ::-1]
  coordinates = centred @ basis
  num_leaves, num_groups = (
    2 ** max(0, round(math.log2(len(vectors) / size)))
    for size in (LEAF_SIZE, GROUP_SIZE)
  )
  grouped, live = _sort_into_leaves(
    coordinates[:, :_NUM_SPLIT_DIMS], num_leaves=num_groups
  )
  groups = coordinates[grouped, :_NUM_SCORE_DIMS]
  per_leaf = num_groups // num_leaves
  index = grouped.reshape(num_leaves, -1)
  live = live.reshape(num_leaves, -1)
  positions = np.indices(grid, np.int32).reshape(len(grid), -1).T
  leaf_at = np.zeros(len(vectors), np.int32)
  leaf_at[index] = np.arange(num_leaves, dtype=np.int32)[:, None]
  fields: dict[str, Any] = dict(
    mean=mean,
    basis=basis,
    variance=variance,
    leaves=coordinates[index],
    core=core[index],
    position=positions[index],
    leaf_at=leaf_at.reshape(grid),
    live=live,
    centre=groups.mean(axis=1).reshape(num_leaves, per_leaf, -1),
    spread=groups.var(axis=1).mean(axis=-1).reshape(num_leaves, per_leaf),
  )
  # Compiles nothing, unlike `jnp.asarray`.
  return PatchTree(**jax.device_put(fields))


def _sort_into_leaves(
  vectors: np.ndarray, *, num_leaves: int
) -> tuple[np.ndarray, np.ndarray]:
  """Indices of vectors [M, d] in leaves, [C, S], and a mask of first uses."""
  num = len(vectors)
  size = -(-num // num_leaves)
  index = (np.arange(num_leaves * size) % num).reshape(1, -1)
  while len(index) < num_leaves:
    centred = vectors[index]
    centred = centred - centred.mean(axis=1, keepdims=True)
    scatter = centred.swapaxes(1, 2) @ centred
    direction = np.linalg.eigh(scatter)[1][..., -1:]
    order = np.argsort((centred @ direction)[..., 0], axis=1, kind='stable')
    index = np.take_along_axis(index, order, axis=1)
    index = index.reshape(2 * len(index), -1)
  live = np.zeros(index.size, bool)
  live[np.unique(index.ravel(), return_index=True)[1]] = True
  return index, live.reshape(index.shape)
