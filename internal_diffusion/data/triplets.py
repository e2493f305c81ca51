"""Triplets (source, target, delta): two patches and their relative position.

A source patch is on one level of the pyramid, its target on the same level or
another; `data.pair_table` defines displacements and lists the pairs. All pairs
of patches of two levels are equally likely, so the distribution of triplets is
that of the list which `enumerate_triplets` returns. Subpixel triplets move the
target within its pixel by interpolation.

A network sees delta: the displacement, scaled to [-1, 1] along each axis, and
log2 of the relative scale r. `displacement_of` converts back to pixels.

In a clip, source and target may lie in different frames, and the displacement
(dt, dy, dx) begins with the frames between them. An image is the same without
the axis of time.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import pair_table, patches, symmetry
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

  In a clip, deltas [N, 4] of displacements [N, 3].

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
  return delta[:, :-1] * unit + centre


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
    pyramid: The pyramid of an image, or of a clip.
    table: Pairs of the pyramid, from `make_pair_table`.
    num: Number of triplets.
    patch_size: Side P of a patch in pixels, as in the table.
    displacement_range: Range of displacement, as in the table.
    subpixel: Whether to add a uniform shift of at most half a pixel along each
      axis to the target, by cubic interpolation (Keys 1981, a = -1/2).
    dihedral: Whether to apply a random symmetry of the square to each triplet;
      the range of displacement must be symmetric and equal along both axes of
      an image.

  Returns:
    The triplets.

  Raises:
    ValueError: If `dihedral` is set and the range is not symmetric.
  """
  _check_dihedral(dihedral, displacement_range)
  num_times = len(table.axes) - 2
  uniform = arrays.uniform(key, (num, 6 + num_times))
  pair = arrays.categorical_from_uniform(uniform[:, 0], table.probability)
  # Rows and columns are drawn by numbers 1 and 2, frames by those behind 5.
  by_axis = [*range(6, 6 + num_times), 1, 2]
  places = [
    _draw_axis(uniform[:, index], axis, pair)
    for index, axis in zip(by_axis, table.axes, strict=True)
  ]
  shift = uniform[:, 3:5] - 0.5 if subpixel else None
  triplets = _triplets_at(
    pyramid,
    table,
    pair,
    places,
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
  ends = {abs(end) for axis in displacement_range[-2:] for end in axis}
  if dihedral and len(ends) > 1:
    raise ValueError(
      '`dihedral` needs a displacement range of -m to m along both axes of an'
      ' image, got'
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
  places: Sequence[Array],
  shift: Array | None,
  *,
  patch_size: int,
  displacement_range: DisplacementRange,
) -> PatchTriplet:
  """Triplets with given level pairs [N] and places [N, 2] along each axis."""
  source_level, target_level = table.levels[pair].T
  source_at, target_at = jnp.moveaxis(jnp.stack(places, axis=-1), 1, 0)
  source = patches.gather_patches(
    pyramid, source_level, *source_at.T, patch_size=patch_size
  )
  if shift is None:
    target = patches.gather_patches(
      pyramid, target_level, *target_at.T, patch_size=patch_size
    )
  else:
    size = jnp.stack([pyramid.heights, pyramid.widths], axis=-1)
    last = size[target_level] - patch_size
    moved = jnp.clip(target_at[:, -2:] + shift, 0, last)
    target_at = jnp.concatenate([target_at[:, :-2], moved], axis=-1)
    target = patches.interpolate_patches(
      pyramid, target_level, target_at, patch_size=patch_size
    )
  ratio = jnp.stack([axis.ratio[pair] for axis in table.axes], axis=-1)
  sides = pair_table.patch_sides(patch_size, len(table.axes))
  half = np.array([sides], np.float32) / 2
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
  pair, places = [], []
  for index in range(len(table.levels)):
    shape = [int(axis.num[index]) for axis in table.axes]
    numbers = np.indices(shape).reshape(len(shape), -1)
    pair.append(np.full(numbers.shape[1], index))
    places.append(
      [
        np.asarray(axis.positions)[index, number]
        for axis, number in zip(table.axes, numbers, strict=True)
      ]
    )
  by_axis = zip(*places, strict=True)
  return _triplets_at(
    pyramid,
    table,
    jnp.asarray(np.concatenate(pair)),
    [jnp.asarray(np.concatenate(own)) for own in by_axis],
    None,
    patch_size=patch_size,
    displacement_range=displacement_range,
  )
