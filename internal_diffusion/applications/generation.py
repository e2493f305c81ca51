"""New images from one photograph.

At every level of a pyramid of halvings the closed form over the level's patches
denoises, lifted to images: from pure noise at the coarsest level, where a patch
spans most of the image, to the finest (Qiu et al. 2026; Granot et al. 2022 for
patches and pyramids instead of training). Only the noise has to have the
output's size, so any size can be made. A learned model (`cascade`) may stand in
for the closed form.

Instead of noise alone, a level may begin with a picture and noise on it: the
coarsest with the photograph stretched to another size, whose layout is kept, or
a finer one with another picture, which is made anew in the photograph's
texture.
"""

import math
import os

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications import source_map
from internal_diffusion.applications.image_model import (
  ImageModel,
  level_sizes,
  stride_of,
  tree_stride_of,
)
from internal_diffusion.sampling import coarse_to_fine

Array = jax.Array

_BYTES_PER_VALUE = 80  # Of an image in work: all arrays of its size together.
# Noise on the picture that a start begins with.
_START_SIGMA = 0.8
# Shortest side over a patch's from which on a level shows what a picture is of.
_SHOWS_THINGS = 8


def structure_level(model: ImageModel, size: tuple[int, int]) -> int:
  """The level, counted from the coarsest, to begin with another picture at.

  Coarser ones would lay everything out anew, as in the photograph.
  """
  last = len(model.levels) - 1
  sizes = level_sizes(
    *size, patch_size=model.patch_size, num_levels=len(model.levels)
  )
  shows = [min(s) >= _SHOWS_THINGS * model.patch_size for s in sizes]
  return shows.index(True) if any(shows) else last


def check_options(
  model: ImageModel,
  *,
  size: tuple[int, int],
  num_steps: int = 10,
  start: np.ndarray | None = None,
  start_sigma: float = _START_SIGMA,
  start_level: int = 0,
  tileable: bool = False,
  symmetric: bool = False,
) -> None:
  """Raises ValueError for options that `generate` cannot use."""
  if min(size) < model.patch_size:
    raise ValueError(
      f'`size` {size[0]}x{size[1]} is smaller than a patch,'
      f' {model.patch_size}x{model.patch_size}; give a larger one.'
    )
  level_sizes(*size, patch_size=model.patch_size, num_levels=len(model.levels))
  channels = model.images[-1].shape[-1]
  _check_fits_memory(size, channels)
  coarse_to_fine.linear_flow_sigmas(num_steps)
  arrays.check_in_range('start_sigma', start_sigma, 0.002, 100)
  arrays.check_in_range('start_level', start_level, 0, len(model.levels) - 1)
  if symmetric and model.mirrored is None:
    raise ValueError(
      '`symmetric` needs a photograph prepared with its mirrored patches.'
    )
  if symmetric and tileable:
    raise ValueError('`symmetric` and `tileable` exclude each other.')
  if start is not None and start.shape[-1] != channels:
    raise ValueError(
      f'The picture to begin with has {start.shape[-1]} channels, but the'
      f' photograph has {channels}; convert one of them.'
    )


def _check_fits_memory(size: tuple[int, int], channels: int) -> None:
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  most = memory // (_BYTES_PER_VALUE * channels)
  if size[0] * size[1] > most:
    shrink = math.sqrt(most / (size[0] * size[1]))
    raise ValueError(
      f'An image of {size[0]}x{size[1]} needs more than the'
      f' {memory / 2**30:.0f} GiB of memory here;'
      f' {int(size[0] * shrink)}x{int(size[1] * shrink)} would fit.'
    )


def generate(
  key: Array,
  model: ImageModel,
  *,
  size: tuple[int, int] | None = None,
  num_steps: int = 10,
  start: np.ndarray | None = None,
  start_sigma: float = _START_SIGMA,
  start_level: int = 0,
  tileable: bool = False,
  symmetric: bool = False,
) -> tuple[np.ndarray, ...]:
  """Makes a new image.

  Args:
    key: One key.
    model: From `prepare`, or a learned one from `cascade`.
    size: (H, W) of the image; None is the photograph's.
    num_steps: Noise levels of a pyramid level; the coarsest has four times as
      many, the finest half.
    start: A picture [h, w, C] to begin with, resized; None is noise alone.
    start_sigma: Noise on it, in [0.002, 100]; less keeps more of it.
    start_level: The level that begins with it, counted from the coarsest, which
      is 0; coarser ones are left out.
    tileable: Whether opposite borders fit together.
    symmetric: Whether the image is its own mirror image, along the axis that
      the photograph was prepared for.

  Returns:
    The image at all levels from there on, coarsest first, [h, w, C] in [-1, 1].

  Raises:
    ValueError: If an option is not usable.
  """
  size = model.images[-1].shape[:2] if size is None else size
  check_options(
    model,
    size=size,
    num_steps=num_steps,
    start=start,
    start_sigma=start_sigma,
    start_level=start_level,
    tileable=tileable,
    symmetric=symmetric,
  )
  sizes = level_sizes(
    *size, patch_size=model.patch_size, num_levels=len(model.levels)
  )
  made = coarse_to_fine.sample_levels(
    key,
    model.levels[start_level:],
    sizes[start_level:],
    num_channels=model.images[-1].shape[-1],
    num_steps=num_steps,
    patch_size=model.patch_size,
    torus=tileable,
    mirrored=model.mirrored if symmetric else None,
    begin=None if start is None else jnp.asarray(start)[None],
    begin_sigma=coarse_to_fine.FROM_NOISE if start is None else start_sigma,
  )
  return tuple(np.asarray(level)[0].clip(-1, 1) for level in made)


def find_sources(model: ImageModel, image: np.ndarray) -> np.ndarray:
  """Row and column of the pixel that each pixel is most likely from.

  Args:
    model: That of the photograph.
    image: A new image [H, W, C] in [-1, 1].

  Returns:
    Places in the photograph, [H, W, 2] int32.
  """
  size = model.images[-1].shape[:2]
  return source_map.find_sources(
    image,
    model.tree,
    size=size,
    patch_size=model.patch_size,
    stride=stride_of(*size),
    tree_stride=tree_stride_of(*size),
    mirrored=model.mirrored,
  )
