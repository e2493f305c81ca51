"""New images from the patches of one photograph, without training.

At every level of a pyramid of halvings the closed form over the level's patches
denoises, lifted to images: from pure noise at the coarsest level, where a patch
spans most of the image, to the finest (Qiu et al. 2026; Granot et al. 2022 for
patches and pyramids instead of training). Only the noise has to have the
output's size, so any size can be made.

Instead of noise alone, the coarsest level may begin with a picture and noise on
it: with the photograph stretched to another size, whose layout is kept, or with
another picture, which is made anew in the photograph's texture.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications import source_map
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.patch_tree import PatchTree, build_patch_tree
from internal_diffusion.sampling import coarse_to_fine, full_image
from internal_diffusion.sampling.samplers import sample_euler
from internal_diffusion.types import BoundDenoiseFn, ProjectFn

Array = jax.Array

# Shortest side of the coarsest level over the side of a patch, at least: nearly
# all of the image is in sight there, so its layout is kept.
_COARSEST = 4 / 3
# Distance of neighbouring patches in levels of at most so many pixels, and in
# larger ones. The work for a level grows much slower than its pixels.
_STRIDES = ((6_000, 1), (80_000, 2), (400_000, 3), (2_500_000, 4))
_LARGEST_STRIDE = 6
# Noise on the picture that the coarsest level begins with.
_START_SIGMA = 1.25
# Too few steps leave patches that never agree, and a grey average where they
# overlap. Steps are cheap where that is decided, at the coarse levels.
_MAX_MORE_STEPS = 4


class Photograph(NamedTuple):
  """A photograph as the closed form wants it, levels coarsest first.

  Attributes:
    levels: Images [h, w, C] float32 in [-1, 1].
    trees: Their patches.
    patch_size: P.
    mirrored: Axis along which mirrored patches were taken too, or None.
  """

  levels: tuple[np.ndarray, ...]
  trees: tuple[PatchTree, ...]
  patch_size: int
  mirrored: int | None


class Generated(NamedTuple):
  """A new image.

  Attributes:
    levels: The image at all levels, coarsest first, [h, w, C] in [-1, 1].
    source: Row and column of the photograph's pixel that each pixel of the
      finest level is most likely from, [H, W, 2].
  """

  levels: tuple[np.ndarray, ...]
  source: np.ndarray


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


def stride_of(height: int, width: int) -> int:
  """Distance of neighbouring patches in a level of this size, in pixels."""
  for num_pixels, stride in _STRIDES:
    if height * width <= num_pixels:
      return stride
  return _LARGEST_STRIDE


def prepare(
  image: np.ndarray,
  *,
  patch_size: int = 15,
  num_levels: int | None = None,
  mirrored: int | None = None,
) -> Photograph:
  """Sorts the patches of all levels of a photograph.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    patch_size: P, odd.
    num_levels: See `level_sizes`.
    mirrored: Axis, 0 or 1, to take patches of the mirror image along it too.

  Raises:
    ValueError: If the image or an option is not usable.
  """
  image = image_io.check_image(image)
  sizes = level_sizes(
    *image.shape[:2], patch_size=patch_size, num_levels=num_levels
  )
  levels, trees = [], []
  for size in sizes:
    level = image
    if size != image.shape[:2]:
      level = np.asarray(coarse_to_fine.resize(jnp.asarray(image), size))
      level = level.clip(-1, 1)
    images = [level]
    if mirrored is not None:
      images.append(np.flip(level, mirrored))
    tree = build_patch_tree(
      [jnp.asarray(one) for one in images],
      patch_size=patch_size,
      core_size=full_image.core_size_of(patch_size),
      stride=stride_of(*size),
    )
    levels.append(level)
    trees.append(tree)
  return Photograph(tuple(levels), tuple(trees), patch_size, mirrored)


def closed_form_of_image(
  tree: PatchTree, *, patch_size: int, stride: int
) -> BoundDenoiseFn:
  """The closed form over a level's patches, for images [B, H, W, C]."""
  core_size = full_image.core_size_of(patch_size)
  denoiser = full_image.PatchDenoiser(
    functools.partial(fast_closed_form.denoise_patches, tree),
    functools.partial(
      fast_closed_form.denoise_cores,
      tree,
      patch_size=patch_size,
      core_size=core_size,
    ),
    patch_size,
    core_size,
  )
  return full_image.lift(denoiser, stride=stride)


def check_options(
  photograph: Photograph,
  *,
  size: tuple[int, int],
  num_steps: int = 10,
  start: np.ndarray | None = None,
  tileable: bool = False,
  symmetric: bool = False,
) -> None:
  """Raises ValueError for options that `generate` cannot use."""
  if min(size) < photograph.patch_size:
    raise ValueError(
      f'`size` {size[0]}x{size[1]} is smaller than a patch,'
      f' {photograph.patch_size}x{photograph.patch_size}; give a larger one.'
    )
  level_sizes(
    *size,
    patch_size=photograph.patch_size,
    num_levels=len(photograph.levels),
  )
  coarse_to_fine.linear_flow_sigmas(num_steps)
  if symmetric and photograph.mirrored is None:
    raise ValueError(
      '`symmetric` needs a photograph prepared with its mirrored patches.'
    )
  if symmetric and tileable:
    raise ValueError('`symmetric` and `tileable` exclude each other.')
  channels = photograph.levels[-1].shape[-1]
  if start is not None and start.shape[-1] != channels:
    raise ValueError(
      f'The picture to begin with has {start.shape[-1]} channels, but the'
      f' photograph has {channels}; convert one of them.'
    )


def generate(
  key: Array,
  photograph: Photograph,
  *,
  size: tuple[int, int] | None = None,
  num_steps: int = 10,
  start: np.ndarray | None = None,
  start_sigma: float = _START_SIGMA,
  tileable: bool = False,
  symmetric: bool = False,
) -> Generated:
  """Makes a new image.

  Args:
    key: One key.
    photograph: From `prepare`.
    size: (H, W) of the image; None is the photograph's.
    num_steps: Noise levels of the finest level; each coarser one, which costs a
      quarter, has twice as many, up to four times.
    start: A picture [h, w, C] that the coarsest level begins with, resized;
      None is noise alone.
    start_sigma: Noise on it; less keeps more of it.
    tileable: Whether opposite borders fit together.
    symmetric: Whether the image is its own mirror image, along the axis that
      the photograph was prepared for.

  Returns:
    The image, its coarser levels, and where its pixels are from.

  Raises:
    ValueError: If an option is not usable.
  """
  size = photograph.levels[-1].shape[:2] if size is None else size
  check_options(
    photograph,
    size=size,
    num_steps=num_steps,
    start=start,
    tileable=tileable,
    symmetric=symmetric,
  )
  sizes = level_sizes(
    *size, patch_size=photograph.patch_size, num_levels=len(photograph.levels)
  )
  coarse: Array | None = None
  levels: list[np.ndarray] = []
  for index, (tree, level, level_size) in enumerate(
    zip(photograph.trees, photograph.levels, sizes, strict=True)
  ):
    more = min(2 ** (len(sizes) - 1 - index), _MAX_MORE_STEPS)
    sigmas = coarse_to_fine.linear_flow_sigmas(more * num_steps)
    begin = None
    if index == 0 and start is not None:
      begin = coarse_to_fine.resize(jnp.asarray(start), level_size)[None]
      sigmas = sigmas[sigmas <= start_sigma]
    coarse = _sample_level(
      jax.random.fold_in(key, index),
      tree,
      begin,
      coarse,
      jnp.asarray(sigmas),
      size=level_size,
      patch_size=photograph.patch_size,
      stride=stride_of(*level.shape[:2]),
      tileable=tileable,
      mirrored=photograph.mirrored if symmetric else None,
    )
    levels.append(np.asarray(coarse)[0].clip(-1, 1))
  real = photograph.levels[-1].shape[:2]
  source = source_map.find_sources(
    levels[-1],
    tree,
    size=real,
    patch_size=photograph.patch_size,
    stride=stride_of(*real),
    mirrored=photograph.mirrored,
  )
  return Generated(tuple(levels), source)


@functools.partial(
  jax.jit,
  static_argnames=('size', 'patch_size', 'stride', 'tileable', 'mirrored'),
)
def _sample_level(
  key: Array,
  tree: PatchTree,
  begin: Array | None,
  coarse: Array | None,
  sigmas: Array,
  *,
  size: tuple[int, int],
  patch_size: int,
  stride: int,
  tileable: bool,
  mirrored: int | None,
) -> Array:
  """One level [1, h, w, C]."""
  num_channels = len(tree.mean) // patch_size**2
  noise = jax.random.normal(key, (1, *size, num_channels))
  denoise_fn = closed_form_of_image(tree, patch_size=patch_size, stride=stride)
  resize_fn = coarse_to_fine.resize
  if tileable:
    denoise_fn = full_image.wrap_around(denoise_fn, margin=patch_size)
    resize_fn = coarse_to_fine.resize_torus
  project_fns: list[ProjectFn] = []
  if coarse is not None:
    project_fns.append(
      coarse_to_fine.keep_low_band(
        coarse, sigma_min=sigmas[-2], resize_fn=resize_fn
      )
    )
  if mirrored is not None:
    noise = (noise + jnp.flip(noise, 1 + mirrored)) / np.sqrt(2)
    project_fns.append(coarse_to_fine.keep_symmetric(1 + mirrored))
  x = sigmas[0] * noise
  x = sample_euler(
    key,
    denoise_fn,
    x if begin is None else begin + x,
    sigmas,
    project_fn=coarse_to_fine.all_of(project_fns),
  )
  if mirrored is None:
    return x
  # Once more, against rounding.
  return coarse_to_fine.keep_symmetric(1 + mirrored)(key, x, sigmas[-1])
