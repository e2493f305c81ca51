"""Triplets (source, target, delta): pairs of patches and how they lie.

A source patch lies on a level of the pyramid, its target on the same level or
on another; `data.pair_table` says which are pairs and what a displacement is.
Every pair of two levels is equally likely, so statements about the distribution
of triplets are statements about a list of them, which `enumerate_triplets`
writes out. Sub-pixel triplets move the target within its pixel and interpolate
it.

What a network sees is delta: the displacement, scaled so that its range is
[-1, 1] along both axes, and log2 of r. `displacement_of` goes back to pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches, symmetry
from internal_diffusion.data.pair_table import (
  NO_DISPLACEMENT,
  AxisPairs,
  DisplacementRange,
  PairTable,
)
from internal_diffusion.data.pyramid import Pyramid
from internal_diffusion.types import PatchTriplet

Array = jax.Array


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
  return symmetry.transform_triplets(
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
