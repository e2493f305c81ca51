"""Table of the pairs of patches of a pyramid, so that a draw is a lookup.

Positions on different levels are compared at patch centres, in pixels of the
*source's* level. Along an axis, with r the side of the target's level over the
side of the source's,

  displacement = (row_target + P/2) / r - (row_source + P/2).

Two patches are a pair if their displacement is in [low - 1/2, high + 1/2] along
each axis; within one level this is from low to high.

A clip has time as a further axis, the first one. A patch is one frame deep, so
P = 1 there, and its displacement is dt, in frames of the source's level.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches

Array = jax.Array

# Vertical and horizontal (lowest, highest) displacement, in whole pixels of the
# source's level; of a clip that in time, in frames, before both.
DisplacementRange = tuple[tuple[int, int], ...]
NO_DISPLACEMENT: DisplacementRange = ((0, 0), (0, 0))
_AXES = ('temporal', 'vertical', 'horizontal')


class AxisPairs(NamedTuple):
  """Positions of all pairs along one axis, for each of M pairs of levels.

  Attributes:
    positions: Positions of source and target, [M, n, 2] int32, padded with 0.
    num: Number of positions without the padding, [M] int32.
    ratio: Side of the target's level over that of the source's, [M].
  """

  positions: Array
  num: Array
  ratio: Array


class PairTable(NamedTuple):
  """All pairs of patches that triplets are drawn from.

  Every pair of rows combines with every pair of columns, and in a clip with
  every pair of frames.

  Attributes:
    levels: Pyramid levels of source and target, [M, 2] int32.
    probability: Probability of each pair of levels, [M].
    axes: Pairs of rows and of columns; of a clip those of frames before both.
    relative_scale: log2 of the target's scale over the source's, [M].
  """

  levels: Array
  probability: Array
  axes: tuple[AxisPairs, ...]
  relative_scale: Array


def make_pair_table(
  sizes: Sequence[tuple[int, ...]],
  *,
  patch_size: int,
  displacement_range: DisplacementRange = NO_DISPLACEMENT,
  level_steps: Sequence[int] = (0,),
  power: float = 1.0,
) -> PairTable:
  """Lists the pairs of patches of a pyramid.

  Args:
    sizes: Size (height, width) of each level, finest first; of a clip (length,
      height, width).
    patch_size: Side P of a patch in pixels, odd.
    displacement_range: Lowest and highest displacement along each axis, in
      whole pixels, or frames, of the source's level.
    level_steps: Steps from the source's level to the target's: 0 is the same
      level, 1 the next coarser, -1 the next finer.
    power: The probability of a pair of levels is proportional to its number of
      patch pairs to this power: with 1 all patch pairs are equally likely, with
      0 all pairs of levels.

  Returns:
    The table.

  Raises:
    ValueError: If an option is out of range, a patch does not fit, the image is
      too small for the displacement, or the pyramid has no two levels that are
      a step apart.

  Example:
    >>> table = make_pair_table([(9, 9)], patch_size=7)
    >>> table.axes[0].positions[0].tolist()
    [[0, 0], [1, 1], [2, 2]]
  """
  arrays.check_in_range('power', power, 0, 1)
  patches.check_patch_size(
    patch_size,
    smallest_side=min(min(size[-2:]) for size in sizes),
    where='coarsest level',
  )
  levels = _level_pairs(len(sizes), level_steps)
  _check_displacement(sizes, levels, displacement_range, patch_size)
  axes = tuple(
    _axis_pairs(
      [size[axis] for size in sizes],
      levels,
      patch_size=side,
      displacement_range=displacement_range[axis],
    )
    for axis, side in enumerate(patch_sides(patch_size, len(sizes[0])))
  )
  return _table(levels, axes, power)


def patch_sides(patch_size: int, num_axes: int) -> tuple[int, ...]:
  """Sides of a patch along the axes of an image, or of a clip: (1, P, P)."""
  return (1,) * (num_axes - 2) + (patch_size, patch_size)


def _table(
  levels: Sequence[tuple[int, int]], axes: tuple[AxisPairs, ...], power: float
) -> PairTable:
  num_pairs = np.prod([np.asarray(axis.num, np.float64) for axis in axes], 0)
  weight = num_pairs**power
  ratios = [np.asarray(axis.ratio, np.float64) for axis in axes[-2:]]
  return PairTable(
    levels=jnp.asarray(levels, jnp.int32),
    probability=jnp.asarray(weight / weight.sum(), jnp.float32),
    axes=axes,
    relative_scale=jnp.asarray(np.log2(ratios).mean(0), jnp.float32),
  )


def _level_pairs(
  num_levels: int, level_steps: Sequence[int]
) -> list[tuple[int, int]]:
  if not level_steps or len(set(level_steps)) < len(level_steps):
    raise ValueError(
      '`level_steps` must name at least one step, each once, got'
      f' {tuple(level_steps)}.'
    )
  pairs = []
  for step in level_steps:
    found = [
      (level, level + step)
      for level in range(num_levels)
      if 0 <= level + step < num_levels
    ]
    if not found:
      raise ValueError(
        f'`level_steps` has {step}, but no two of the {num_levels} pyramid'
        f' levels are {abs(step)} apart; give a larger image or a smaller step.'
      )
    pairs += found
  return pairs


def _check_displacement(
  sizes: Sequence[tuple[int, ...]],
  levels: Sequence[tuple[int, int]],
  displacement_range: DisplacementRange,
  patch_size: int,
) -> None:
  num_axes = len(sizes[0])
  if len(displacement_range) != num_axes:
    raise ValueError(
      f'`displacement_range` must have {num_axes} ranges, one for each of'
      f' {", ".join(_AXES[-num_axes:])}, got {displacement_range}.'
    )
  patch = patch_sides(patch_size, num_axes)
  for axis, name in enumerate(_AXES[-num_axes:]):
    low, high = displacement_range[axis]
    if int(low) != low or int(high) != high or low > high:
      raise ValueError(
        f'The {name} range of displacement must be two whole numbers, the'
        f' lowest first, got {(low, high)}.'
      )
    side = min(sizes[source][axis] for source, _ in levels)
    if max(-low, high) > side - patch[axis]:
      length = f'side is {side} pixels, so with `patch_size` {patch_size}'
      if name == _AXES[0]:
        length = f'length is {side} frames, so'
      raise ValueError(
        f'The {name} range of displacement {(low, high)} is larger than the'
        f' coarsest source level allows: its {length} at most'
        f' {side - patch[axis]}.'
      )


def _axis_pairs(
  sides: Sequence[int],
  levels: Sequence[tuple[int, int]],
  *,
  patch_size: int,
  displacement_range: tuple[int, int],
) -> AxisPairs:
  low, high = displacement_range
  half = patch_size / 2
  found, ratios = [], []
  for source_level, target_level in levels:
    ratio = sides[target_level] / sides[source_level]
    source = np.arange(sides[source_level] - patch_size + 1)[:, None]
    target = np.arange(sides[target_level] - patch_size + 1)[None]
    displacement = (target + half) / ratio - (source + half)
    is_pair = (displacement >= low - 0.5) & (displacement <= high + 0.5)
    found.append(np.argwhere(is_pair))
    ratios.append(ratio)
  return _pack(found, ratios)


def _pack(found: Sequence[np.ndarray], ratios: Sequence[float]) -> AxisPairs:
  positions = np.zeros((len(found), max(map(len, found)), 2), np.int32)
  for index, pairs in enumerate(found):
    positions[index, : len(pairs)] = pairs
  return AxisPairs(
    positions=jnp.asarray(positions),
    num=jnp.array([len(pairs) for pairs in found], jnp.int32),
    ratio=jnp.array(ratios, jnp.float32),
  )
