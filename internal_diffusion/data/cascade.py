"""What a cascade learns: each pyramid level given the next coarser, enlarged.

A target is a patch of a level's residual, the level minus the enlarged coarser
one; its source is the patch of the enlarged level around the same centre, two
pixels apart, so that it sees twice as far. In the words of the triplets: the
source is one level coarser, resampled so that the displacement is always 0.
Nothing is coarser than the coarsest level, so it is a source only.
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
_APART = 2  # Distance of a source's pixels, in pixels of the target's level.


class CascadePyramid(NamedTuple):
  """All levels of a photograph but the coarsest, as a cascade sees them.

  Attributes:
    residual: Every level minus the enlarged coarser one.
    enlarged: The enlarged coarser ones, padded so that the source of the
      residual's patch at a position begins at that same position.
    probability: How often each level is drawn, [L].
  """

  residual: Pyramid
  enlarged: Pyramid
  probability: Array


def pad_for_sources(enlarged: Array, *, patch_size: int) -> Array:
  """An enlarged level [H, W, C], mirrored at its borders as far as sources see.

  The source of the patch at (row, column) begins there in the padded one.
  """
  reach = (_APART - 1) * (patch_size // 2)
  return jnp.pad(
    enlarged, ((reach, reach), (reach, reach), (0, 0)), 'symmetric'
  )


def build_cascade(
  levels: Sequence[np.ndarray | Array], *, patch_size: int, power: float
) -> CascadePyramid:
  """The cascade's view of pyramid levels [h, w, C], finest first.

  Args:
    levels: Images.
    patch_size: P, odd.
    power: A level is drawn in proportion to its number of patches to this, in
      [0, 1].

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
      'A cascade needs two pyramid levels at least; give a larger image or a'
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
    cascade: The levels.
    num: N.
    patch_size: P.

  Returns:
    Targets and sources [N, P*P*C], and the level of each [N] int32.
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
  side = _APART * (patch_size - 1) + 1
  seen = patches.gather_patches(
    cascade.enlarged, level, row, column, patch_size=side
  )
  seen = seen.reshape(num, side, side, -1)[:, ::_APART, ::_APART]
  return target, seen.reshape(num, -1), level


def sources_at(padded: Array, places: Array, *, patch_size: int) -> Array:
  """The sources [N, P*P*C] of patches at places [N, 2] of one level.

  Args:
    padded: What `pad_for_sources` gives.
    places: Row and column of the patches' top left pixels.
    patch_size: P.
  """
  inside = _APART * np.arange(patch_size)
  rows = places[:, 0, None, None] + inside[None, :, None]
  columns = places[:, 1, None, None] + inside[None, None]
  return padded[rows, columns].reshape(len(places), -1)
