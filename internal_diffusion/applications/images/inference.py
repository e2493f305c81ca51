"""New images from the patches of one image.

Sampling goes from coarse to fine through a pyramid of halvings, from noise at
the coarsest level, where a patch spans most of the image (Qiu et al. 2026;
Granot et al. 2022 for patches and pyramids instead of training). Only the noise
needs the output's size, so images of any size can be made.

With a `Start`, a level begins with a picture and noise on it instead: the
coarsest level with the image stretched to another size, which keeps its layout,
or a finer level with another picture, which takes on the image's texture.
"""

import math
import os
from collections.abc import Sequence

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.images.prior import ImagePrior
from internal_diffusion.data.operators import Size
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import coarse_to_fine
from internal_diffusion.sampling.coarse_to_fine import Start
from internal_diffusion.sampling.constraints import Constraint, MirrorSymmetry

Array = jax.Array

_BYTES_PER_VALUE = 80  # All arrays of the image's size together.


@with_own_settings
def generate(
  key: Array,
  prior: ImagePrior,
  *,
  size: Size | None = None,
  start: Start | None = None,
  constraints: Sequence[Constraint] = (),
  num_steps: int = 10,
) -> list[np.ndarray]:
  """Makes a new image.

  Args:
    key: One key.
    prior: From `make_image_prior` or `make_cascade_prior`.
    size: (H, W) of the new image; None is the size of the prior's image.
    start: Picture to begin with; None is noise alone.
    constraints: Constraints on the new image, for instance
      `sampling.WrappedBorder()`.
    num_steps: Number of steps of a pyramid level. The coarsest has four times
      as many, the finest half.

  Returns:
    The new image at all levels, finest first, [h, w, C] in [-1, 1]. With a
    start, levels coarser than the start's are left out.

  Raises:
    ValueError: If an argument is not valid.
  """
  size = prior.size if size is None else size
  check_size(size, prior.num_channels, patch_size=prior.patch_size)
  _check_constraints(prior, constraints)
  if start is not None:
    _check_start(prior, start)
  coarse_to_fine.linear_flow_sigmas(num_steps)  # Checks the number.
  made = coarse_to_fine.sample_levels(
    key,
    prior.levels,
    prior.level_sizes(size),
    num_channels=prior.num_channels,
    num_steps=num_steps,
    start=start,
    constraints=constraints,
  )
  return [np.asarray(level)[0].clip(-1, 1) for level in made]


def check_size(
  size: Size, num_channels: int, *, patch_size: int, asked: str = '`size`'
) -> None:
  """Raises ValueError for a size below a patch's or beyond the memory.

  Args:
    size: (height, width) of an image.
    num_channels: Its number of channels.
    patch_size: Side of the patches in pixels.
    asked: What asked for the size, for the message.
  """
  height, width = size
  if min(size) < patch_size:
    raise ValueError(
      f'{asked} {height}x{width} is smaller than a patch,'
      f' {patch_size}x{patch_size}; give a larger one.'
    )
  ratio = fitting_pixels(num_channels) / (height * width)
  if ratio < 1:
    shrink = math.sqrt(ratio)
    fitting = f'{int(height * shrink)}x{int(width * shrink)}'
    raise ValueError(
      f'{asked} {height}x{width} needs more than the'
      f' {memory() / 2**30:.0f} GiB of memory here; {fitting} would fit.'
    )


def fitting_pixels(num_channels: int) -> int:
  """The most pixels of an image that the memory of this machine holds."""
  return memory() // (_BYTES_PER_VALUE * num_channels)


def memory() -> int:
  """The memory of this machine, in bytes."""
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _check_constraints(
  prior: ImagePrior, constraints: Sequence[Constraint]
) -> None:
  for constraint in constraints:
    if (
      isinstance(constraint, MirrorSymmetry)
      and constraint.axis != prior.mirrored
    ):
      raise ValueError(
        f'A `MirrorSymmetry` of axis {constraint.axis} needs a prior with'
        f' mirrored patches of that axis, got {prior.mirrored}; make it with'
        f' `mirrored={constraint.axis}`.'
      )


def _check_start(prior: ImagePrior, start: Start) -> None:
  arrays.check_in_range('start.sigma', start.sigma, 0.002, 100)
  if start.level is not None:
    arrays.check_in_range('start.level', start.level, 0, len(prior.levels) - 1)
  shape = np.shape(start.picture)
  if len(shape) != 3:
    raise ValueError(f'`start.picture` must be [h, w, C], got shape {shape}.')
  if shape[-1] != prior.num_channels:
    raise ValueError(
      f'`start.picture` has {shape[-1]} channels, but the prior has'
      f' {prior.num_channels}; convert the picture.'
    )
