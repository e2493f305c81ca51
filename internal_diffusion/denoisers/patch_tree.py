"""The patches of one image, sorted into a balanced tree for fast sums.

The closed form needs, for every noisy patch, a sum over all patches y_i,

  D(x; sigma) = sum_i w_i y_i / sum_i w_i,  w_i = exp(-|x - y_i|^2 / 2 sigma^2).

A tree, built once by the host, halves the patches along the direction in which
they differ most. Equally many are in every leaf, so that the sum over a leaf is
a dense product of a fixed shape. A few leaves hold nearly all the weight, the
near field; for the rest, the far field, a thinned set stands in: every third
patch of every third row, each counting for all it replaces. The split is that
of treecodes (Barnes & Hut 1986).

Everything is in principal coordinates, where the first few say most.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import patches as patches_lib

Array = jax.Array

LEAF_SIZE = 256
# Principal coordinates that leaves are made by and chosen by.
_NUM_SPLIT_DIMS = 32
_THINNING = 3


class PatchTree(NamedTuple):
  """All patches of an image, in C leaves of S, and a thinned set of T.

  Attributes:
    mean: Mean of the patches, [D].
    basis: Principal directions in columns, [D, D].
    variance: Variance of each principal coordinate, decreasing, [D].
    leaves: Principal coordinates, [C, S, D].
    core: The pixels around the centre of each patch, [C, S, V].
    position: Number of its image, and row and column of its centre pixel in
      there, [C, S, 3] float32.
    live: Whether it is a patch, or a copy that fills a leaf up, [C, S].
    centre: Mean of each leaf in the first coordinates, [C, d].
    spread: Its variance in one of them, mean over them, [C].
    thinned: Which patches are in the thinned set too, [C, S].
    far: Principal coordinates of the thinned set, [T, D].
    far_core: The pixels around the centre of those, [T, V].
  """

  mean: Array
  basis: Array
  variance: Array
  leaves: Array
  core: Array
  position: Array
  live: Array
  centre: Array
  spread: Array
  thinned: Array
  far: Array
  far_core: Array

  @property
  def far_mass(self) -> Array:
    """How many patches each one of the thinned set counts for."""
    return jnp.sum(self.live) / len(self.far)


def build_patch_tree(
  images: Sequence[Array], *, patch_size: int, core_size: int, stride: int = 1
) -> PatchTree:
  """Sorts the patches of an image, or of several.

  Args:
    images: Each [H, W, C] in [-1, 1].
    patch_size: P, odd.
    core_size: Side of the square around the centre of a patch that `core`
      holds, odd, at most P.
    stride: Distance of neighbouring patches, in pixels.

  Returns:
    The tree; the number of its leaves is a power of 2.
  """
  dense = [
    np.asarray(
      patches_lib.extract_patches(image, patch_size=patch_size, stride=stride)
    )
    for image in images
  ]
  vectors = np.concatenate([d.reshape(-1, d.shape[-1]) for d in dense])
  mean = np.mean(vectors, axis=0)
  centred = vectors - mean
  variance, basis = np.linalg.eigh(centred.T @ centred / len(vectors))
  variance, basis = np.maximum(variance[::-1], 0), basis[:, ::-1]
  coordinates = centred @ basis
  num_leaves = 2 ** max(0, round(math.log2(len(vectors) / LEAF_SIZE)))
  near = coordinates[:, :_NUM_SPLIT_DIMS]
  index, live = _sort_into_leaves(near, num_leaves=num_leaves)
  core = np.asarray(
    patches_lib.crop_patches(
      jnp.asarray(vectors), patch_size=patch_size, size=core_size
    )
  )
  thinned = np.concatenate([_thin(*d.shape[:2]).ravel() for d in dense])
  positions = np.concatenate(
    [
      _centres(number, *d.shape[:2], patch_size=patch_size, stride=stride)
      for number, d in enumerate(dense)
    ]
  )
  return PatchTree(
    mean=jnp.asarray(mean),
    basis=jnp.asarray(basis),
    variance=jnp.asarray(variance),
    leaves=jnp.asarray(coordinates[index]),
    core=jnp.asarray(core[index]),
    position=jnp.asarray(positions[index]),
    live=jnp.asarray(live),
    centre=jnp.asarray(near[index].mean(axis=1)),
    spread=jnp.asarray(near[index].var(axis=1).mean(axis=-1)),
    thinned=jnp.asarray(thinned[index]),
    far=jnp.asarray(coordinates[thinned]),
    far_core=jnp.asarray(core[thinned]),
  )


def _centres(
  number: int, rows: int, columns: int, *, patch_size: int, stride: int
) -> np.ndarray:
  """`PatchTree.position` of all patches of an image, [rows * columns, 3]."""
  places = np.indices((rows, columns)).reshape(2, -1).T
  centres = places * stride + patch_size // 2
  return np.insert(centres, 0, number, axis=1).astype(np.float32)


def _thin(rows: int, columns: int) -> np.ndarray:
  """Every third of every third row of a grid, [rows, columns] booleans."""
  thinned = np.zeros((rows, columns), bool)
  first = tuple(min(_THINNING // 2, count - 1) for count in (rows, columns))
  thinned[first[0] :: _THINNING, first[1] :: _THINNING] = True
  return thinned


def _sort_into_leaves(
  vectors: np.ndarray, *, num_leaves: int
) -> tuple[np.ndarray, np.ndarray]:
  """Indices [C, S] of vectors [M, d] in leaves, and which are not repeats."""
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
