"""The prior of new images: a denoiser for each level of an image's pyramid.

Each denoiser is the closed form over the patches of its level, lifted to images
(Qiu et al. 2026; Granot et al. 2022 for patches and pyramids instead of
training). In a larger level, the patches that are denoised and the patches that
they are compared with lie farther apart.

Levels are halvings of the image, counted from the finest, 0.
"""

import math
from collections.abc import Sequence

import flax.struct
import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import image_io, patches
from internal_diffusion.data.operators import Size
from internal_diffusion.data.resampling import resample
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.patch_tree import PatchTree, build_patch_tree
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level
from internal_diffusion.types import Condition, static

Array = jax.Array

PATCH_SIZE = 15  # Side of a patch by default, in pixels.
# Smallest ratio of the coarsest level's shortest side to the side of a patch.
# There, a patch spans nearly the whole image, so its layout is kept.
_COARSEST = 4 / 3
# Smallest ratio of a level's shortest side to a patch's that shows objects.
_SHOWS_OBJECTS = 8
# Distance of denoised patches, by the largest number of pixels of an image.
_STRIDES = ((6_000, 1), (80_000, 2), (400_000, 3), (2_500_000, 4))
_LARGEST_STRIDE = 6
_MAX_TREE_PATCHES = 100_000  # Number of reference patches of a level, about.
# Noise level on an enlarged level. More noise, up to noise alone, gives the
# same layout, takes longer, and leaves patches that fit each other less well.
_SIGMA_ON_ENLARGED = 0.25
# Numbers of steps of the coarsest and of the finest level, relative to others.
# At the coarsest, steps cost little, and with too few of them the patches never
# agree and average to grey.
_STEPS_AT_COARSEST, _STEPS_AT_FINEST = 4.0, 0.5


@flax.struct.dataclass
class ClosedFormImageDenoiser:
  """The closed form over a level's patches, as a denoiser of images.

  Attributes:
    tree: Reference patches.
    patch_size: Side P of a patch, or its sides.
    stride: Distance of denoised patches, in pixels, or one for each axis.
    tree_stride: Distance of reference patches, in the same form.
  """

  tree: PatchTree
  patch_size: patches.PatchShape = static()
  stride: patches.PatchShape = static()
  tree_stride: patches.PatchShape = static()

  @property
  def reach(self) -> int:
    """Distance at which pixels influence an estimate, in pixels."""
    side = max(patches.sides_of(self.patch_size))
    return side + side % 2

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of images [B, H, W, C]; the condition is not used."""
    del cond
    core_size = full_image.core_size_of(self.patch_size)

    def whole_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      return fast_closed_form.denoise_patches(
        self.tree, x, sigma, spots.places / self.tree_stride
      )

    def core_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      return fast_closed_form.denoise_cores(
        self.tree,
        x,
        sigma,
        spots.places / self.tree_stride,
        patch_size=self.patch_size,
        core_size=core_size,
      )

    denoiser = full_image.PatchDenoiser(
      whole_fn, core_fn, self.patch_size, core_size
    )
    return full_image.lift(denoiser, stride=self.stride)(x, sigma)


@flax.struct.dataclass
class ImagePrior:
  """Prior of images with the patches of one image.

  Attributes:
    levels: Pyramid levels, finest first.
    tree: Patches of the finest level, which `find_sources` looks up.
    size: (height, width) of the image.
    num_channels: C.
    patch_size: Side P of a patch.
    mirrored: Axis along which mirrored patches were added, or None.
  """

  levels: tuple[Level, ...]
  tree: PatchTree
  size: Size = static()
  num_channels: int = static()
  patch_size: int = static()
  mirrored: int | None = static(default=None)

  def level_sizes(self, size: Size) -> list[Size]:
    """Sizes of the levels of an image of a given size; see `halved_sizes`."""
    return halved_sizes(
      *size, patch_size=self.patch_size, num_levels=len(self.levels)
    )

  def layout_level(self, size: Size) -> int:
    """The coarsest level that shows the objects of a picture.

    At coarser levels, a patch spans whole objects, and the image's own layout
    would replace the picture's.
    """
    sides = [min(level) for level in self.level_sizes(size)]
    smallest = _SHOWS_OBJECTS * self.patch_size
    return max(0, sum(side >= smallest for side in sides) - 1)


def halved_sizes(
  height: int, width: int, *, patch_size: int, num_levels: int | None = None
) -> list[Size]:
  """Sizes of an image's halvings, rounded up, finest first.

  Without a number of levels, it is the largest that leaves the shortest side at
  4/3 of a patch's or more.

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
  return sizes


def max_levels(side: int, *, patch_size: int) -> int:
  """The largest number of levels such that a patch fits the coarsest.

  At the coarsest of them, a patch spans the image along its shorter side, so
  objects keep their proportions at any output size.
  """
  num_levels = 1
  while (side + 1) // 2 >= patch_size:
    side, num_levels = -(-side // 2), num_levels + 1
  return num_levels


@with_own_settings
def make_image_prior(
  image: np.ndarray,
  *,
  patch_size: int = PATCH_SIZE,
  num_levels: int | None = None,
  mirrored: int | None = None,
  others: Sequence[np.ndarray] = (),
) -> ImagePrior:
  """The closed-form prior of an image's patches at all levels; no training.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    patch_size: Side P of a patch, odd; a larger one keeps larger objects whole.
    num_levels: Number of levels; see `halved_sizes`.
    mirrored: Axis along which mirrored patches are added, which a
      `MirrorSymmetry` of that axis needs: 0 for top and bottom, 1 for left and
      right.
    others: Further images of the same shape, whose patches are added; not with
      `mirrored`.

  Raises:
    ValueError: If an image or an option is not valid.
  """
  if len(others) and mirrored is not None:
    raise ValueError('`mirrored` and `others` exclude each other.')
  for other in others:
    arrays.check_same_shape(image=image, other=other)
  beside = [
    build_levels(other, patch_size=patch_size, num_levels=num_levels)
    for other in others
  ]
  images = build_levels(image, patch_size=patch_size, num_levels=num_levels)
  factors = [1.0] * len(images)
  factors[0] = _STEPS_AT_FINEST
  factors[-1] = _STEPS_AT_COARSEST
  levels = tuple(
    closed_form_level(
      level,
      patch_size=patch_size,
      mirrored=mirrored,
      others=[levels[index] for levels in beside],
      step_factor=factors[index],
    )
    for index, level in enumerate(images)
  )
  finest = levels[0].denoiser
  assert isinstance(finest, ClosedFormImageDenoiser)
  return ImagePrior(
    levels=levels,
    tree=finest.tree,
    size=images[0].shape[:2],
    num_channels=images[0].shape[2],
    patch_size=patch_size,
    mirrored=mirrored,
  )


def build_levels(
  image: np.ndarray, *, patch_size: int, num_levels: int | None = None
) -> list[np.ndarray]:
  """The pyramid of an image, finest first; raises ValueError for a bad one."""
  image = image_io.check_image(image)
  sizes = halved_sizes(
    *image.shape[:2], patch_size=patch_size, num_levels=num_levels
  )
  coarser = (np.asarray(resample(image, size)) for size in sizes[1:])
  return [image, *(level.clip(-1, 1) for level in coarser)]


def stride_of(size: Size) -> int:
  """Distance of denoised patches in an image of this size, in pixels."""
  fitting = (stride for most, stride in _STRIDES if math.prod(size) <= most)
  return next(fitting, _LARGEST_STRIDE)


def tree_stride_of(size: Size) -> int:
  """Distance of reference patches in an image of this size, in pixels."""
  return math.ceil(math.sqrt(math.prod(size) / _MAX_TREE_PATCHES))


def build_tree(
  level: np.ndarray,
  *,
  patch_size: int,
  mirrored: int | None = None,
  others: Sequence[np.ndarray] = (),
) -> PatchTree:
  """Reference patches of a level, its mirror image, and others of its size."""
  images = [level, *others]
  if mirrored is not None:
    images.append(np.flip(level, mirrored))
  return build_patch_tree(
    np.stack(images),
    patch_size=patch_size,
    core_size=full_image.core_size_of(patch_size),
    stride=tree_stride_of(level.shape[:2]),
  )


def closed_form_level(
  level: np.ndarray,
  *,
  patch_size: int,
  mirrored: int | None = None,
  others: Sequence[np.ndarray] = (),
  step_factor: float = _STEPS_AT_COARSEST,
) -> Level:
  """The closed form over the patches of a level [h, w, C]."""
  size = level.shape[:2]
  denoiser = ClosedFormImageDenoiser(
    build_tree(level, patch_size=patch_size, mirrored=mirrored, others=others),
    patch_size,
    stride_of(size),
    tree_stride_of(size),
  )
  return Level(denoiser, _SIGMA_ON_ENLARGED, step_factor)
