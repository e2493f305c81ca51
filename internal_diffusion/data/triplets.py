"""Triplets (source, target, delta): pairs of patches and how they lie.

A source patch lies on a level of the pyramid, its target on the same level or
on another. Positions on different levels are compared at patch centres, in
pixels of the *source's* level: with r the target level's side over the
source's, along an axis,

  displacement = (row_target + P/2) / r - (row_source + P/2).

Two patches are a pair if their displacement is in a range [low - 1/2,
high + 1/2] along either axis, which on one level means from low to high. Every
pair of two levels is equally likely, so statements about the distribution of
triplets are statements about a list of them, which `enumerate_triplets` writes
out. Sub-pixel triplets move the target within its pixel and interpolate it.

What a network sees is delta: the displacement, scaled so that its range is
[-1, 1] along both axes, and log2 of r. `displacement_of` goes back to pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.data.pyramid import Pyramid
from internal_diffusion.types import PatchTriplet

Array = jax.Array

# (lowest, highest) displacement along an axis, in whole pixels of the source's
# level: vertical, then horizontal.
DisplacementRange = tuple[tuple[int, int], tuple[int, int]]
NO_DISPLACEMENT: DisplacementRange = ((0, 0), (0, 0))


class AxisPairs(NamedTuple):
  """Positions of all pairs along one axis, for each pair of levels.

  Attributes:
    positions: Source and target, [M, n, 2] int32, padded with zeros.
    num: How many of the n are there, [M] int32.
    ratio: Side of the target's level over that of the source's, [M].
  """

  positions: Array
  num: Array
  ratio: Array


class PairTable(NamedTuple):
  """All pairs of patches that triplets are drawn from.

  A pair of rows and a pair of columns make a pair of patches, any of the one
  with any of the other.

  Attributes:
    levels: Levels of source and target, [M, 2] int32.
    probability: How often each pair of levels is drawn, [M].
    rows: Along the vertical axis.
    columns: Along the horizontal axis.
    relative_scale: log2 of the target's scale over the source's, [M].
  """

  levels: Array
  probability: Array
  rows: AxisPairs
  columns: AxisPairs
  relative_scale: Array


def make_pair_table(
  sizes: Sequence[tuple[int, int]],
  *,
  patch_size: int,
  displacement_range: DisplacementRange = NO_DISPLACEMENT,
  level_steps: Sequence[int] = (0,),
  power: float = 1.0,
) -> PairTable:
  """Lists the pairs of patches of a pyramid.

  Args:
    sizes: (height, width) of each level, finest first.
    patch_size: P, odd.
    displacement_range: Lowest and highest displacement, vertical and
      horizontal, in whole pixels of the source's level.
    level_steps: Levels from source to target: 0 is the same one, 1 the next
      coarser, -1 the next finer. A pair of levels is there if both are.
    power: A pair of levels is drawn in proportion to its number of pairs to
      this power: at 1 all pairs are equally likely, at 0 all pairs of levels.

  Returns:
    The table.

  Raises:
    ValueError: If an option is out of range, a patch does not fit, the image is
      too small for the displacement, or a step leads nowhere.
  """
  arrays.check_in_range('power', power, 0, 1)
  patches.check_patch_size(
    patch_size,
    smallest_side=min(min(size) for size in sizes),
    where='coarsest level',
  )
  levels = _level_pairs(len(sizes), level_steps)
  _check_displacement(sizes, levels, displacement_range, patch_size)
  axes = [
    _axis_pairs(
      [size[axis] for size in sizes],
      levels,
      patch_size=patch_size,
      displacement_range=displacement_range[axis],
    )
    for axis in (0, 1)
  ]
  num_pairs = np.prod([np.asarray(axis.num, np.float64) for axis in axes], 0)
  weight = num_pairs**power
  ratios = [np.asarray(axis.ratio, np.float64) for axis in axes]
  return PairTable(
    levels=jnp.asarray(levels, jnp.int32),
    probability=jnp.asarray(weight / weight.sum(), jnp.float32),
    rows=axes[0],
    columns=axes[1],
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
  sizes: Sequence[tuple[int, int]],
  levels: Sequence[tuple[int, int]],
  displacement_range: DisplacementRange,
  patch_size: int,
) -> None:
  for axis, name in enumerate(('vertical', 'horizontal')):
    low, high = displacement_range[axis]
    if int(low) != low or int(high) != high or low > high:
      raise ValueError(
        f'The {name} range of displacement must be two whole numbers, the'
        f' lowest first, got {(low, high)}.'
      )
    side = min(sizes[source][axis] for source, _ in levels)
    if max(-low, high) > side - patch_size:
      raise ValueError(
        f'The {name} range of displacement {(low, high)} is larger than the'
        f' coarsest source level allows: its side is {side} pixels, so with'
        f' `patch_size` {patch_size} at most {side - patch_size}.'
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
  positions = np.zeros((len(found), max(map(len, found)), 2), np.int32)
  for index, pairs in enumerate(found):
    positions[index, : len(pairs)] = pairs
  return AxisPairs(
    positions=jnp.asarray(positions),
    num=jnp.array([len(pairs) for pairs in found], jnp.int32),
    ratio=jnp.array(ratios, jnp.float32),
  )


def _centre_and_unit(
  displacement_range: DisplacementRange,
) -> tuple[np.ndarray, np.ndarray]:
  low, high = np.asarray(displacement_range, np.float32).T[:, None]
  return (low + high) / 2, (high - low) / 2 + np.float32(0.5)


def to_delta(
  displacement: Array,
  relative_scale: Array,
  *,
  displacement_range: DisplacementRange,
) -> Array:
  """Displacements [N, 2] in pixels and log2 scales [N] as deltas [N, 3]."""
  centre, unit = _centre_and_unit(displacement_range)
  return jnp.concatenate(
    [(displacement - centre) / unit, relative_scale[:, None]], axis=-1
  )


def displacement_of(
  delta: Array, *, displacement_range: DisplacementRange
) -> Array:
  """Displacements [N, 2] in pixels of deltas [N, 3]; inverts `to_delta`."""
  centre, unit = _centre_and_unit(displacement_range)
  return delta[:, :2] * unit + centre


def sample_triplets(
  key: Array,
  pyramid: Pyramid,
  table: PairTable,
  *,
  num: int,
  patch_size: int,
  displacement_range: DisplacementRange = NO_DISPLACEMENT,
  subpixel: bool = False,
  dihedral: bool = False,
) -> PatchTriplet:
  """Draws triplets on the device.

  Args:
    key: One key, or a key [num] for each triplet.
    pyramid: The stack.
    table: The pairs of that pyramid.
    num: How many.
    patch_size: P, that of the table.
    displacement_range: That of the table.
    subpixel: Whether to move the target by a uniform part of a pixel, half of
      one at most along either axis, interpolating by a cubic (Keys 1981,
      a = -1/2).
    dihedral: Whether to turn and mirror each triplet at random, its delta
      with it, as if the whole image were; the range of displacement must be
      symmetric and the same along both axes.

  Returns:
    The triplets.

  Raises:
    ValueError: If `dihedral` is asked for another range.
  """
  _check_dihedral(dihedral, displacement_range)
  uniform = arrays.uniform(key, (num, 6))
  pair = arrays.categorical_from_uniform(uniform[:, 0], table.probability)
  rows = _draw_axis(uniform[:, 1], table.rows, pair)
  columns = _draw_axis(uniform[:, 2], table.columns, pair)
  shift = uniform[:, 3:5] - 0.5 if subpixel else None
  found = _triplets_at(
    pyramid,
    table,
    pair,
    rows,
    columns,
    shift,
    patch_size=patch_size,
    displacement_range=displacement_range,
  )
  if not dihedral:
    return found
  return transform_triplets(
    found,
    arrays.index_from_uniform(uniform[:, 5], 8),
    patch_size=patch_size,
  )


def _check_dihedral(
  dihedral: bool, displacement_range: DisplacementRange
) -> None:
  ends = {abs(end) for axis in displacement_range for end in axis}
  if dihedral and len(ends) > 1:
    raise ValueError(
      '`dihedral` turns displacements around, so their range must be -m to m'
      f' along both axes, got {tuple(map(tuple, displacement_range))}.'
    )


def _draw_axis(uniform: Array, axis: AxisPairs, pair: Array) -> Array:
  """Random positions [N, 2] of source and target for pairs of levels [N]."""
  index = arrays.index_from_uniform(uniform, axis.num[pair])
  return axis.positions[pair, index]


def _triplets_at(
  pyramid: Pyramid,
  table: PairTable,
  pair: Array,
  rows: Array,
  columns: Array,
  shift: Array | None,
  *,
  patch_size: int,
  displacement_range: DisplacementRange,
) -> PatchTriplet:
  """Triplets of given pairs of levels [N], of rows and of columns [N, 2]."""
  source_level, target_level = table.levels[pair].T
  source_at = jnp.stack([rows[:, 0], columns[:, 0]], axis=-1)
  target_at = jnp.stack([rows[:, 1], columns[:, 1]], axis=-1)
  source = patches.gather_patches(
    pyramid, source_level, *source_at.T, patch_size=patch_size
  )
  if shift is None:
    target = patches.gather_patches(
      pyramid, target_level, *target_at.T, patch_size=patch_size
    )
  else:
    sides = jnp.stack([pyramid.heights, pyramid.widths], axis=-1)
    last = sides[target_level] - patch_size
    target_at = jnp.clip(target_at + shift, 0, last)
    target = patches.interpolate_patches(
      pyramid, target_level, target_at, patch_size=patch_size
    )
  ratio = jnp.stack([table.rows.ratio[pair], table.columns.ratio[pair]], -1)
  half = patch_size / 2
  displacement = (target_at + half) / ratio - (source_at + half)
  delta = to_delta(
    displacement,
    table.relative_scale[pair],
    displacement_range=displacement_range,
  )
  return PatchTriplet(source, target, delta, source_level)


def transform_triplets(
  triplets: PatchTriplet, index: Array, *, patch_size: int
) -> PatchTriplet:
  """Turns and mirrors triplets as if their whole image had been.

  Args:
    triplets: With both axes of displacement in one unit.
    index: Which of the eight symmetries of the square, [N] int32: 4 swaps the
      axes, then 2 mirrors top and bottom, then 1 left and right; their sum.
    patch_size: P.

  Returns:
    The transformed triplets.
  """
  swap, signs = (index & 4) > 0, jnp.stack([index & 2, index & 1], axis=-1) > 0
  # Pixel (i, j) of the result is that of the mirrored, then swapped place.
  grid = np.stack(np.meshgrid(*2 * [np.arange(patch_size)], indexing='ij'), -1)
  table = []
  for number in range(8):
    place = np.where([number & 2, number & 1], patch_size - 1 - grid, grid)
    row, column = np.moveaxis(place[..., ::-1] if number & 4 else place, -1, 0)
    table.append((row * patch_size + column).ravel())
  order = jnp.asarray(np.array(table))[index][..., None]

  def transform(vectors: Array) -> Array:
    pixels = vectors.reshape(len(vectors), patch_size**2, -1)
    return jnp.take_along_axis(pixels, order, axis=1).reshape(vectors.shape)

  displacement, scale = triplets.delta[:, :2], triplets.delta[:, 2:]
  swapped = jnp.where(swap[:, None], displacement[:, ::-1], displacement)
  return triplets._replace(
    source=transform(triplets.source),
    target=transform(triplets.target),
    delta=jnp.concatenate([jnp.where(signs, -swapped, swapped), scale], -1),
  )


def enumerate_triplets(
  pyramid: Pyramid,
  table: PairTable,
  *,
  patch_size: int,
  displacement_range: DisplacementRange = NO_DISPLACEMENT,
) -> PatchTriplet:
  """All triplets on the grid, for exact answers and the closed form.

  With `power` 1 every one of them is equally likely in `sample_triplets`.

  Args:
    pyramid: The stack.
    table: The pairs of that pyramid.
    patch_size: P, that of the table.
    displacement_range: That of the table.

  Returns:
    Every triplet once, pair of levels by pair of levels.
  """
  pair, rows, columns = [], [], []
  for index in range(len(table.levels)):
    shape = (int(table.rows.num[index]), int(table.columns.num[index]))
    row, column = np.indices(shape).reshape(2, -1)
    pair.append(np.full(len(row), index))
    rows.append(np.asarray(table.rows.positions)[index, row])
    columns.append(np.asarray(table.columns.positions)[index, column])
  return _triplets_at(
    pyramid,
    table,
    jnp.asarray(np.concatenate(pair)),
    jnp.asarray(np.concatenate(rows)),
    jnp.asarray(np.concatenate(columns)),
    None,
    patch_size=patch_size,
    displacement_range=displacement_range,
  )
