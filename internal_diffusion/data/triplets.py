"""Triplets (source, target, delta): two patches and their relative position.

A source patch is on one level of the pyramid, its target on the same level or
another; `data.pair_table` defines displacements and lists the pairs. All pairs
of patches of two levels are equally likely, so the distribution of triplets is
that of the list which `enumerate_triplets` returns. Subpixel triplets move the
target within its pixel by interpolation.

A network sees delta: the displacement, scaled to [-1, 1] along both axes, and
log2 of the relative scale r. `displacement_of` converts back to pixels.
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
  """Deltas [N, 3] of displacements [N, 2] in pixels and log2 scales [N].

  Example:
    >>> span = ((-2, 2), (-2, 2))
    >>> delta = to_delta(
    ...   jnp.array([[0.0, 2.5]]), jnp.zeros(1), displacement_range=span
    ... )
    >>> delta.tolist()
    [[0.0, 1.0, 0.0]]
    >>> displacement_of(delta, displacement_range=span).tolist()
    [[0.0, 2.5]]
  """
  centre, unit = _centre_and_unit(displacement_range)
  return jnp.concatenate(
    [(displacement - centre) / unit, relative_scale[:, None]], axis=-1
  )


def displacement_of(
  delta: Array, *, displacement_range: DisplacementRange
) -> Array:
  """Displacements [N, 2] in pixels from deltas [N, 3]; inverts `to_delta`."""
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
  """Draws random triplets on the device.

  Args:
    key: One key, or a key [num] for each triplet.
    pyramid: The pyramid.
    table: Pairs of the pyramid, from `make_pair_table`.
    num: Number of triplets.
    patch_size: Side P of a patch in pixels, as in the table.
    displacement_range: Range of displacement, as in the table.
    subpixel: Whether to add a uniform shift of at most half a pixel along each
      axis to the target, by cubic interpolation (Keys 1981, a = -1/2).
    dihedral: Whether to apply a random symmetry of the square to each triplet;
      the range of displacement must be symmetric and equal along both axes.

  Returns:
    The triplets.

  Raises:
    ValueError: If `dihedral` is set and the range is not symmetric.
  """
  _check_dihedral(dihedral, displacement_range)
  uniform = arrays.uniform(key, (num, 6))
  pair = arrays.categorical_from_uniform(uniform[:, 0], table.probability)
  rows = _draw_axis(uniform[:, 1], table.rows, pair)
  columns = _draw_axis(uniform[:, 2], table.columns, pair)
  shift = uniform[:, 3:5] - 0.5 if subpixel else None
  triplets = _triplets_at(
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
    return triplets
  return symmetry.transform_triplets(
    triplets,
    arrays.index_from_uniform(uniform[:, 5], 8),
    patch_size=patch_size,
  )


def _check_dihedral(
  dihedral: bool, displacement_range: DisplacementRange
) -> None:
  ends = {abs(end) for axis in displacement_range for end in axis}
  if dihedral and len(ends) > 1:
    raise ValueError(
      '`dihedral` needs a displacement range of -m to m along both axes, got'
      f' {tuple(map(tuple, displacement_range))}.'
    )


def _draw_axis(uniform: Array, axis: AxisPairs, pair: Array) -> Array:
  """Random positions [N, 2] of source and target for level pairs [N]."""
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
  """Triplets with given level pairs [N], rows [N, 2] and columns [N, 2]."""
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
  """Lists all triplets at whole-pixel positions.

  In a table of `power` 1, `sample_triplets` draws each with equal probability.

  Args:
    pyramid: The pyramid.
    table: Pairs of the pyramid, from `make_pair_table`.
    patch_size: Side P of a patch in pixels, as in the table.
    displacement_range: Range of displacement, as in the table.

  Returns:
    Every triplet once, in the order of the level pairs.
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
