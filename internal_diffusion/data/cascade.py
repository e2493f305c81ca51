"""Training pairs of a cascade: a pyramid level given the next coarser level.

A target is a patch of a level's residual: the level minus the enlarged coarser
level. Its source is the patch of the enlarged coarser level with the same
centre and every second pixel, so it covers twice the width. As a triplet: the
source is one level coarser, resampled so that the displacement is always 0. The
coarsest level has sources only.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.data.pyramid import Pyramid, stack_pyramid
from internal_diffusion.data.resampling import resample

Array = jax.Array
_SPACING = 2  # Distance of a source's pixels, in pixels of the target.


class CascadePyramid(NamedTuple):
  """Data of a cascade: all levels of an image but the coarsest.

  Attributes:
    residual: Every level minus the enlarged coarser level.
    enlarged: The enlarged coarser levels, padded so that the source of a
      residual patch begins at the same position as the patch.
    probability: Probability of each level, [L].
  """

  residual: Pyramid
  enlarged: Pyramid
  probability: Array


def pad_for_sources(enlarged: Array, *, patch_size: int) -> Array:
  """An enlarged level [H, W, C], mirrored at its borders for the sources.

  The source of the patch at (row, column) begins there in the padded level.
  """
  reach = (_SPACING - 1) * (patch_size // 2)
  return jnp.pad(
    enlarged, ((reach, reach), (reach, reach), (0, 0)), 'symmetric'
  )


def build_cascade(
  levels: Sequence[np.ndarray | Array], *, patch_size: int, power: float
) -> CascadePyramid:
  """The data of a cascade.

  Args:
    levels: Pyramid levels [h, w, C], finest first.
    patch_size: Side P of a patch, odd.
    power: Exponent in [0, 1]: a level is drawn in proportion to its number of
      patches to this power.

  Raises:
    ValueError: If there are fewer than two levels, a patch does not fit one, or
      the power is out of range.
  """
  arrays.check_in_range('power', power, 0, 1)
  images = [jnp.asarray(level) for level in levels]
  patches.check_patch_size(
    patch_size, smallest_side=min(images[-1].shape[:2]), where='coarsest level'
  )
  if len(images) < 2:
    raise ValueError(
      'A cascade needs at least two pyramid levels; give a larger image or a'
      ' smaller `pyramid.min_side`.'
    )
  enlarged = [
    resample(coarser, (image.shape[0], image.shape[1]))
    for image, coarser in itertools.pairwise(images)
  ]
  images = images[:-1]
  count = np.array(
    [np.prod(np.array(i.shape[:2]) - patch_size + 1.0) for i in images]
  )
  return CascadePyramid(
    residual=stack_pyramid(
      [i - e for i, e in zip(images, enlarged, strict=True)]
    ),
    enlarged=stack_pyramid(
      [pad_for_sources(e, patch_size=patch_size) for e in enlarged]
    ),
    probability=jnp.asarray(count**power / np.sum(count**power), jnp.float32),
  )


def sample_pairs(
  key: Array, cascade: CascadePyramid, *, num: int, patch_size: int
) -> tuple[Array, Array, Array]:
  """Random targets with their sources.

  Args:
    key: One key.
    cascade: Data of the cascade.
    num: Number of pairs N.
    patch_size: Side P of a patch.

  Returns:
    Targets and sources, [N, P*P*C] each, and their levels, [N] int32.
  """
  uniform = arrays.uniform(key, (num, 3))
  level = arrays.categorical_from_uniform(uniform[:, 0], cascade.probability)
  row, column = (
    arrays.index_from_uniform(
      uniform[:, 1 + axis], sides[level] - patch_size + 1
    )
    for axis, sides in enumerate(
      (cascade.residual.heights, cascade.residual.widths)
    )
  )
  target = patches.gather_patches(
    cascade.residual, level, row, column, patch_size=patch_size
  )
  side = _SPACING * (patch_size - 1) + 1
  source = patches.gather_patches(
    cascade.enlarged, level, row, column, patch_size=side
  )
  source = source.reshape(num, side, side, -1)[:, ::_SPACING, ::_SPACING]
  return target, source.reshape(num, -1), level


def sources_at(padded: Array, places: Array, *, patch_size: int) -> Array:
  """Sources [N, P*P*C] of the patches of one level.

  Args:
    padded: Result of `pad_for_sources`.
    places: Row and column of the patches' top left pixels, [N, 2].
    patch_size: Side P of a patch.
  """
  inside = _SPACING * np.arange(patch_size)
  rows = places[:, 0, None, None] + inside[None, :, None]
  columns = places[:, 1, None, None] + inside[None, None]
  return padded[rows, columns].reshape(len(places), -1)
