"""Generated patches and the real patches that they are compared with."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import image_io, patches
from internal_diffusion.data import pyramid as pyramid_lib

Array = jax.Array


class Samples(NamedTuple):
  """The content of a samples.npz of idiff-sample.

  Attributes:
    patches: Generated patches, [N, P, P, C] in [-1, 1].
    level: Pyramid level of each patch, [N] int32.
    level_sizes: Height and width of each pyramid level, [L, 2].
  """

  patches: np.ndarray
  level: np.ndarray
  level_sizes: np.ndarray


class RealPatches(NamedTuple):
  """Real patches that generated patches are compared with.

  Attributes:
    first: Random patches at the levels of the generated patches, [N, P, P, C].
    second: A second independent draw of them, [N, P, P, C].
    training: All patches of all levels, [M, P, P, C].
  """

  first: np.ndarray
  second: np.ndarray
  training: np.ndarray


def read_samples(path: str | os.PathLike) -> Samples:
  """Reads a samples.npz; raises ValueError for any other file."""
  try:
    # NumPy leaves a damaged archive open.
    with (
      open(path, 'rb') as file,
      np.load(file, allow_pickle=False) as content,
    ):
      return Samples(*(content[name] for name in Samples._fields))
  except FileNotFoundError:
    raise
  except Exception as error:  # Damaged archives raise many types.
    raise ValueError(
      f'`{path}` is not a samples.npz of idiff-sample with'
      f' {", ".join(Samples._fields)}.'
    ) from error


def real_patches(
  key: Array,
  image: np.ndarray,
  *,
  level: np.ndarray,
  level_sizes: Sequence[Sequence[int]],
  patch_size: int,
) -> RealPatches:
  """Draws the real patches that generated patches are compared with.

  Args:
    key: One key.
    image: Photograph, [H, W, C]; downscaled to the finest level if larger.
    level: Levels of the generated patches, [N].
    level_sizes: Height and width of each level.
    patch_size: Side P of a patch.

  Raises:
    ValueError: If the photograph does not have the finest level's shape.
  """
  sizes = [(int(height), int(width)) for height, width in level_sizes]
  image = image_io.check_image(image)
  image = image_io.bound_side(image, max_side=max(sizes[0]))
  if image.shape[:2] != sizes[0]:
    raise ValueError(
      f'The reference, {image.shape[0]}x{image.shape[1]}, is not the photograph'
      f' of these samples, whose finest level is {sizes[0][0]}x{sizes[0][1]}.'
    )
  levels = pyramid_lib.build_levels(jnp.asarray(image), sizes)
  pyramid = pyramid_lib.stack_pyramid(levels)
  shape = (-1, patch_size, patch_size, image.shape[-1])
  drawn = jnp.asarray(level, jnp.int32)

  def draw(key: Array) -> np.ndarray:
    uniform = jax.random.uniform(key, (len(drawn), 2))
    row, column = (
      arrays.index_from_uniform(uniform[:, axis], side[drawn] - patch_size + 1)
      for axis, side in enumerate((pyramid.heights, pyramid.widths))
    )
    found = patches.gather_patches(
      pyramid, drawn, row, column, patch_size=patch_size
    )
    return np.asarray(found).reshape(shape)

  dense = [patches.extract_patches(x, patch_size=patch_size) for x in levels]
  first_key, second_key = jax.random.split(key)
  return RealPatches(
    first=draw(first_key),
    second=draw(second_key),
    training=np.concatenate([np.asarray(x).reshape(shape) for x in dense]),
  )
