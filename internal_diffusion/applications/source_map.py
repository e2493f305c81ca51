"""Where in a photograph the pixels of a generated image are from."""

import functools

import jax
import numpy as np

from internal_diffusion.data import patches
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.patch_tree import PatchTree

Array = jax.Array

_STRIP_PATCHES = 16_384  # Looked up at once.


def find_sources(
  image: np.ndarray,
  tree: PatchTree,
  *,
  size: tuple[int, int],
  patch_size: int,
  stride: int,
  tree_stride: int,
  mirrored: int | None = None,
) -> np.ndarray:
  """The pixel of a photograph that each pixel is most likely from.

  A pixel belongs to the patch whose centre is nearest, and keeps its distance
  to that centre.

  Args:
    image: [H, W, C] in [-1, 1].
    tree: The patches of the photograph.
    size: (height, width) of the photograph.
    patch_size: P.
    stride: Distance of the patches that are looked up, in pixels.
    tree_stride: Distance of the tree's, in pixels.
    mirrored: Axis along which the tree's second image mirrors its first, or
      None if it has only one.

  Returns:
    Row and column, [H, W, 2] int32.
  """
  nearest = _nearest_by_strips(
    image, tree, patch_size=patch_size, stride=stride, step=stride / tree_stride
  )
  (row, down), (column, right) = (
    _to_patch(length, count, patch_size, stride)
    for length, count in zip(image.shape[:2], nearest.shape[:2], strict=True)
  )
  found = nearest[row[:, None], column[None]]
  offset = np.stack(np.meshgrid(down, right, indexing='ij'), axis=-1)
  centre = found[..., 1:] * tree_stride + patch_size // 2
  place = (centre + offset).clip(0, np.array(size) - 1)
  if mirrored is not None:
    along = place[..., mirrored]
    place[..., mirrored] = np.where(
      found[..., 0] > 0, size[mirrored] - 1 - along, along
    )
  return place.astype(np.int32)


def _nearest_by_strips(
  image: np.ndarray,
  tree: PatchTree,
  *,
  patch_size: int,
  stride: int,
  step: float,
) -> np.ndarray:
  """`PatchTree.position` [rows, columns, 3] of each patch's nearest."""
  height, width = image.shape[:2]
  count = (height - patch_size) // stride + 1
  per_strip = max(1, min(count, _STRIP_PATCHES * stride // width))
  rows = []
  for first in range(0, count, per_strip):
    start = min(first, count - per_strip)  # All strips have one shape.
    top = start * stride
    strip = image[top : top + (per_strip - 1) * stride + patch_size]
    found = _nearest(
      tree, strip, patch_size=patch_size, stride=stride, step=step
    )
    rows.append(np.asarray(found)[first - start :])
  return np.concatenate(rows)


@functools.partial(jax.jit, static_argnames=('patch_size', 'stride', 'step'))
def _nearest(
  tree: PatchTree, image: Array, *, patch_size: int, stride: int, step: float
) -> Array:
  dense = patches.extract_patches(image, patch_size=patch_size, stride=stride)
  places = np.indices(dense.shape[:2]).reshape(2, -1).T * step
  found = fast_closed_form.nearest_positions(
    tree, dense.reshape(len(places), -1), places
  )
  return found.reshape(*dense.shape[:2], 3)


def _to_patch(
  length: int, count: int, patch_size: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
  """Along an axis: which patch each pixel is of, and where from its centre."""
  from_first = np.arange(length) - patch_size // 2
  index = np.round(from_first / stride).astype(int).clip(0, count - 1)
  return index, from_first - index * stride
