"""The prior of new clips: the closed form over space-time patches of a clip.

The levels of its pyramid are halved in space, and as long as they have frames
enough, in time too. At each, the denoiser is the posterior mean over all boxes
of 3 frames and 7 x 7 pixels, as that of an image is over squares
(`applications.images.prior`).
"""

import math
from collections.abc import Sequence

import flax.struct
import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.images.prior import (
  ClosedFormImageDenoiser,
)
from internal_diffusion.data import patches
from internal_diffusion.data.clip_io import Clip
from internal_diffusion.data.resampling import resample
from internal_diffusion.denoisers.patch_tree import build_patch_tree
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level
from internal_diffusion.types import static

Array = jax.Array
ClipSize = tuple[int, int, int]

PATCH_SHAPE = (3, 7, 7)
_COARSEST = 4 / 3  # Smallest ratio of a level's shortest side to a patch's.
_FEWEST_FRAMES = 4  # Of a level that is halved in time.
# Distance of denoised patches in space, by the largest number of pixels.
_STRIDES = ((20_000, 1), (2_000_000, 2), (4_000_000, 3))
_LARGEST_STRIDE = 4
_MAX_TREE_PATCHES = 100_000  # Number of reference patches of a level, about.
_SIGMA_ON_ENLARGED = 0.25
_STEPS_AT_COARSEST, _STEPS_AT_FINEST = 4.0, 0.5


@flax.struct.dataclass
class ClipPrior:
  """Prior of clips with the space-time patches of one clip.

  Attributes:
    levels: Pyramid levels, finest first.
    size: (length, height, width) of the clip.
    num_channels: C.
    patch_shape: Frames, rows and columns of a patch.
    halvings: Whether each level but the finest has half the frames of the next
      finer one.
  """

  levels: tuple[Level, ...]
  size: ClipSize = static()
  num_channels: int = static()
  patch_shape: ClipSize = static()
  halvings: tuple[bool, ...] = static()

  def level_sizes(self, size: ClipSize) -> list[ClipSize]:
    """Sizes of the levels of a clip of a given size, finest first.

    Raises:
      ValueError: If a patch does not fit the coarsest.
    """
    return _sizes_of_levels(size, self.halvings, self.patch_shape)


def level_sizes(
  size: ClipSize, clip: Clip, *, patch_shape: ClipSize = PATCH_SHAPE
) -> list[ClipSize]:
  """`ClipPrior.level_sizes` of a clip's prior, before it is made.

  Raises:
    ValueError: If a patch does not fit the clip, or the coarsest level.
  """
  return _sizes_of_levels(size, _clip_halvings(clip, patch_shape), patch_shape)


def _sizes_of_levels(
  size: ClipSize, halvings: Sequence[bool], patch_shape: ClipSize
) -> list[ClipSize]:
  sizes = [size]
  for in_time in halvings:
    sizes.append(halved(sizes[-1], in_time=in_time))
  least = [n * 2 ** len(halvings) for n in patch_shape]
  least[0] = patch_shape[0] * 2 ** sum(halvings)
  if any(a < b for a, b in zip(sizes[-1], patch_shape, strict=True)):
    raise ValueError(
      f'`size` {size[1]}x{size[2]} with {size[0]} frames is too small; give'
      f' {least[1]}x{least[2]} with {least[0]} frames or more.'
    )
  return sizes


@with_own_settings
def make_clip_prior(
  clip: Clip, *, patch_shape: ClipSize = PATCH_SHAPE
) -> ClipPrior:
  """The closed-form prior of a clip's space-time patches; no training.

  Args:
    clip: The clip.
    patch_shape: Frames, rows and columns of a patch, odd.

  Raises:
    ValueError: If a patch does not fit the clip.
  """
  halvings = _clip_halvings(clip, patch_shape)
  size = (len(clip), *clip.size)
  frames = clip.frames()
  images, own = [frames], size
  for in_time in halvings:
    own = halved(own, in_time=in_time)
    images.append(np.asarray(resample(frames, own)).clip(-1, 1))
  factors = [1.0] * len(images)
  factors[0] = _STEPS_AT_FINEST
  factors[-1] = _STEPS_AT_COARSEST
  levels = [
    Level(_denoiser(image, patch_shape), _SIGMA_ON_ENLARGED, factor)
    for image, factor in zip(images, factors, strict=True)
  ]
  return ClipPrior(
    tuple(levels), size, frames.shape[-1], patch_shape, tuple(halvings)
  )


def halved(size: ClipSize, *, in_time: bool) -> ClipSize:
  """Half of a size, rounded up; in time only if wanted."""
  length, height, width = size
  if in_time:
    length = -(-length // 2)
  return length, -(-height // 2), -(-width // 2)


def _clip_halvings(clip: Clip, patch_shape: ClipSize) -> list[bool]:
  for side in patch_shape:
    arrays.check_odd('patch_shape', side)
  size = (len(clip), *clip.size)
  patches.check_patch_shape(patch_shape, size)
  return _halvings(size, patch_shape)


def _halvings(size: ClipSize, patch_shape: ClipSize) -> list[bool]:
  """Whether each level is halved in time, until patches hardly fit."""
  found = []
  least = round(_COARSEST * max(patch_shape[1:]))
  while (min(size[1:]) + 1) // 2 >= least:
    in_time = (size[0] + 1) // 2 >= _FEWEST_FRAMES
    found.append(in_time)
    size = halved(size, in_time=in_time)
  return found


def _denoiser(
  level: np.ndarray, patch_shape: ClipSize
) -> ClosedFormImageDenoiser:
  size = level.shape[:-1]
  tree_stride = _tree_stride(size)
  tree = build_patch_tree(
    level[None],
    patch_size=patch_shape,
    core_size=full_image.core_size_of(patch_shape),
    stride=tree_stride,
  )
  return ClosedFormImageDenoiser(tree, patch_shape, _stride(size), tree_stride)


def _stride(size: Sequence[int]) -> ClipSize:
  """Distance of denoised patches in a level of this size."""
  fitting = (own for most, own in _STRIDES if math.prod(size) <= most)
  stride = next(fitting, _LARGEST_STRIDE)
  # With frames apart, those between would be means of other patches.
  return 1, stride, stride


def _tree_stride(size: Sequence[int]) -> ClipSize:
  """Distance of reference patches in a level of this size.

  Frames resemble each other more than neighbouring pixels do, so the distance
  is the largest in time.
  """
  excess = math.prod(size) / _MAX_TREE_PATCHES
  side = max(1, math.floor(excess ** (1 / 3)))
  return max(1, math.ceil(excess / side**2)), side, side
