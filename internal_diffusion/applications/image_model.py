"""A photograph made ready: its pyramid, and a denoiser for each level.

The closed form over the patches of a level, lifted to images (Qiu et al. 2026;
Granot et al. 2022 for patches and pyramids instead of training). The larger a
level, the farther apart are the patches that are denoised and looked up.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import image_io, patches, pyramid
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.patch_tree import PatchTree, build_patch_tree
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level, LevelDenoiseFn

Array = jax.Array

# Shortest side of the coarsest level over the side of a patch, at least: nearly
# all of the image is in sight there, so its layout is kept.
_COARSEST = 4 / 3
# Distance of denoised patches in images of at most so many pixels, and in
# larger ones.
_STRIDES = ((6_000, 1), (80_000, 2), (400_000, 3), (2_500_000, 4))
_LARGEST_STRIDE = 6
_MAX_TREE_PATCHES = 100_000  # Patches of a level that are looked up, about.
# Noise on an enlarged level. More of it, up to noise alone, gives the same
# layout, takes longer, and leaves patches that fit each other less well.
_ON_ENLARGED = 0.25
# Steps of a level over those of a usual one: too few at the coarsest, where
# they cost little, leave patches that never agree and a grey average of them.
_MORE_AT_COARSEST, _FEWER_AT_FINEST = 4.0, 0.5


class ImageModel(NamedTuple):
  """Everything that new images of a photograph are made with, coarsest first.

  Attributes:
    images: The photograph's pyramid, [h, w, C] float32 in [-1, 1].
    levels: A denoiser for each.
    patch_size: P.
    tree: The patches of the finest level, for maps of sources.
    mirrored: Axis along which mirrored patches were taken too, or None.
  """

  images: tuple[np.ndarray, ...]
  levels: tuple[Level, ...]
  patch_size: int
  tree: PatchTree
  mirrored: int | None = None


def level_sizes(
  height: int, width: int, *, patch_size: int, num_levels: int | None = None
) -> list[tuple[int, int]]:
  """Halvings of a size, rounded up, coarsest first.

  Args:
    height: In pixels.
    width: In pixels.
    patch_size: P.
    num_levels: How many; None is as many as leave the shortest side at 4/3 of
      the patch's or more.

  Raises:
    ValueError: If a patch does not fit the coarsest.
  """
  smallest = round(_COARSEST * patch_size)
  sizes = [(height, width)]
  while (
    (min(sizes[-1]) + 1) // 2 >= smallest
    if num_levels is None
    else len(sizes) < num_levels
  ):
    height, width = sizes[-1]
    sizes.append((-(-height // 2), -(-width // 2)))
  patches.check_patch_size(
    patch_size, smallest_side=min(sizes[-1]), where='coarsest level'
  )
  return sizes[::-1]


def most_levels(height: int, width: int, *, patch_size: int) -> int:
  """How many levels of halvings a patch fits.

  At the coarsest of so many, a patch spans the image along its shorter side:
  what is laid out there keeps its proportions at any size.
  """
  num_levels = 1
  while (min(height, width) + 1) // 2 >= patch_size:
    height, width = -(-height // 2), -(-width // 2)
    num_levels += 1
  return num_levels


def stride_of(height: int, width: int) -> int:
  """Distance of denoised patches in an image of this size, in pixels."""
  fitting = (stride for most, stride in _STRIDES if height * width <= most)
  return next(fitting, _LARGEST_STRIDE)


def tree_stride_of(height: int, width: int) -> int:
  """Distance of the patches that are looked up, in pixels."""
  return math.ceil(math.sqrt(height * width / _MAX_TREE_PATCHES))


def build_images(
  image: np.ndarray, *, patch_size: int, num_levels: int | None = None
) -> tuple[np.ndarray, ...]:
  """The pyramid of a photograph, coarsest first.

  Raises:
    ValueError: If the image or an option is not usable.
  """
  image = image_io.check_image(image)
  sizes = level_sizes(
    *image.shape[:2], patch_size=patch_size, num_levels=num_levels
  )
  coarser = (
    np.asarray(pyramid.resample(jnp.asarray(image), size)).clip(-1, 1)
    for size in sizes[:-1]
  )
  return (*coarser, image)


def build_tree(
  level: np.ndarray, *, patch_size: int, mirrored: int | None = None
) -> PatchTree:
  """The patches of a level, of its mirror image too if an axis is given."""
  images = [level]
  if mirrored is not None:
    images.append(np.flip(level, mirrored))
  return build_patch_tree(
    np.stack(images),
    patch_size=patch_size,
    core_size=full_image.core_size_of(patch_size),
    stride=tree_stride_of(*level.shape[:2]),
  )


def prepare(
  image: np.ndarray,
  *,
  patch_size: int = 15,
  num_levels: int | None = None,
  mirrored: int | None = None,
) -> ImageModel:
  """The closed form over all levels of a photograph: sorts their patches.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    patch_size: P, odd.
    num_levels: See `level_sizes`.
    mirrored: Axis, 0 or 1, to take patches of the mirror image along it too.

  Raises:
    ValueError: If the image or an option is not usable.
  """
  images = build_images(image, patch_size=patch_size, num_levels=num_levels)
  shares = [_MORE_AT_COARSEST, *[1.0] * (len(images) - 2), _FEWER_AT_FINEST]
  levels = [
    closed_form_level(
      level, patch_size=patch_size, mirrored=mirrored, step_share=share
    )
    for level, share in zip(images, shares, strict=False)
  ]
  return ImageModel(
    images, tuple(levels), patch_size, levels[-1].params, mirrored
  )


def closed_form_level(
  level: np.ndarray,
  *,
  patch_size: int,
  mirrored: int | None = None,
  step_share: float = _MORE_AT_COARSEST,
) -> Level:
  """The closed form over the patches of a level."""
  size = level.shape[:2]
  denoise_fn = closed_form_fn(
    patch_size, stride_of(*size), tree_stride=tree_stride_of(*size)
  )
  tree = build_tree(level, patch_size=patch_size, mirrored=mirrored)
  return Level(denoise_fn, tree, _ON_ENLARGED, step_share)


@functools.lru_cache
def closed_form_fn(
  patch_size: int, stride: int, *, tree_stride: int
) -> LevelDenoiseFn:
  """The closed form for images, `(tree, coarse, x [B, H, W, C], sigma)`."""
  core_size = full_image.core_size_of(patch_size)

  def denoise_fn(
    tree: PatchTree, coarse: Array | None, x: Array, sigma: Array
  ) -> Array:
    del coarse  # The constraint alone says what it says.

    def whole_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      places = spots.places / tree_stride
      return fast_closed_form.denoise_patches(tree, x, sigma, places)

    def core_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      return fast_closed_form.denoise_cores(
        tree,
        x,
        sigma,
        spots.places / tree_stride,
        patch_size=patch_size,
        core_size=core_size,
      )

    denoiser = full_image.PatchDenoiser(
      whole_fn, core_fn, patch_size, core_size
    )
    return full_image.lift(denoiser, stride=stride)(x, sigma)

  return denoise_fn
