"""Which pixels of an image the pixels of a generated image come from."""

import functools

import jax
import numpy as np

from internal_diffusion.applications.images.prior import (
  ImagePrior,
  stride_of,
  tree_stride_of,
)
from internal_diffusion.data import patches
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.patch_tree import PatchTree
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_STRIP_PATCHES = 16_384  # Number of patches that are looked up at once.


@with_own_settings
def find_sources(prior: ImagePrior, image: np.ndarray) -> np.ndarray:
  """The most likely source of each pixel of a generated image.

  A pixel belongs to the patch whose centre is nearest, and its source has the
  same offset from the centre of that patch's nearest reference patch.

  Args:
    prior: Prior that the image was generated with.
    image: Generated image, [H, W, C] in [-1, 1].

  Returns:
    Row and column in the prior's image, [H, W, 2] int32.
  """
  stride, tree_stride = stride_of(prior.size), tree_stride_of(prior.size)
  patch_size, mirrored = prior.patch_size, prior.mirrored
  nearest = _nearest_by_strips(
    image, prior.tree, patch_size, stride, stride / tree_stride
  )
  (row, down), (column, right) = (
    _to_patch(length, count, patch_size, stride)
    for length, count in zip(image.shape[:2], nearest.shape[:2], strict=True)
  )
  found = nearest[row[:, None], column[None]]
  offset = np.stack(np.meshgrid(down, right, indexing='ij'), axis=-1)
  centre = found[..., 1:] * tree_stride + patch_size // 2
  source = (centre + offset).clip(0, np.array(prior.size) - 1)
  if mirrored is not None:
    along = source[..., mirrored]
    source[..., mirrored] = np.where(
      found[..., 0] > 0, prior.size[mirrored] - 1 - along, along
    )
  return source.astype(np.int32)


def _nearest_by_strips(
  image: np.ndarray, tree: PatchTree, patch_size: int, stride: int, step: float
) -> np.ndarray:
  """`PatchTree.position` of each patch's nearest, [rows, columns, 3]."""
  height, width = image.shape[:2]
  count = (height - patch_size) // stride + 1
  per_strip = max(1, min(count, _STRIP_PATCHES * stride // width))
  rows = []
  for first in range(0, count, per_strip):
    start = min(first, count - per_strip)  # All strips have one shape.
    top = start * stride
    strip = image[top : top + (per_strip - 1) * stride + patch_size]
    found = _nearest(tree, strip, patch_size, stride, step)
    rows.append(np.asarray(found)[first - start :])
  return np.concatenate(rows)


@functools.partial(jax.jit, static_argnames=('patch_size', 'stride', 'step'))
def _nearest(
  tree: PatchTree, image: Array, patch_size: int, stride: int, step: float
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
  """Patch of each pixel along an axis, and the offset from its centre."""
  from_first = np.arange(length) - patch_size // 2
  index = np.round(from_first / stride).astype(int).clip(0, count - 1)
  return index, from_first - index * stride
