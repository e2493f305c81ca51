"""Modes of p(delta | source, target) over all displacements, across a pyramid.

At a coarse level each pixel is compared with all pixels up to half a frame away
(`matching`), and its posterior is read off a tree of its neighbours
(`scanlines`): the modes are its minima, none next to a better one. At each
finer level, a pixel's candidates are the modes of the coarse pixel below it and
the best modes of the coarse pixels around that; each moves to the best match
within a pixel. The field chooses among them: the first mode is the one that
agrees best with the neighbours. Energies are negative log probabilities in
units of a temperature.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.applications.flow import matching, scanlines

Array = jax.Array

_NUM_MODES = 4
_APART = 2  # Modes differ by at least this along an axis, in pixels.
_TEMPERATURE = 0.3  # Energy that makes a mode e times less likely.
_EXPECTED = 0.1  # Cost by which others must be better than the expected flow.
_NEVER = 1e6
# Coarse pixels around whose best mode is a candidate, (y, x).
_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))


class Modes(NamedTuple):
  """Modes of the displacement of each pixel, the best first.

  Attributes:
    displacement: Displacements (x, y), whole pixels, [h, w, K, 2].
    weight: Their probabilities, [h, w, K]; 0 where there are fewer.
  """

  displacement: Array
  weight: Array


def find_modes(
  first: Sequence[Array],
  second: Sequence[Array],
  expected: Array,
  *,
  reach: tuple[int, int],
) -> Modes:
  """Modes at the finest level.

  Args:
    first: Levels of the first frame, [h, w, C] each, finest first; all
      displacements are compared at the last one.
    second: Levels of the second frame.
    expected: Flow at the finest level, [h, w, 2], which is a candidate too.
    reach: Longest displacement (y, x) at the last level; with y = 0 nothing
      moves along y.
  """
  modes = search_modes(first[-1], second[-1], reach=reach)
  is_horizontal = not reach[0]
  for own, other in zip(first[-2:0:-1], second[-2:0:-1], strict=True):
    modes = refine_modes(own, other, modes, is_horizontal=is_horizontal)
  return refine_modes(
    first[0], second[0], modes, expected, is_horizontal=is_horizontal
  )


@functools.partial(jax.jit, static_argnames='reach')
def search_modes(
  first: Array, second: Array, *, reach: tuple[int, int]
) -> Modes:
  """Modes among all displacements up to a reach (y, x).

  The frames are [h, w, C].
  """
  cost = matching.all_costs(
    matching.describe(first), matching.describe(second), reach=reach
  )
  energy = scanlines.marginals_of_all(cost, scanlines.jumps_of(first))
  down, right = reach
  y, x = jnp.mgrid[-down : down + 1, -right : right + 1]
  displacement = jnp.stack([x.ravel(), y.ravel()], axis=-1)

  def of_row(energy: Array) -> Modes:
    return _best(energy.reshape(len(energy), -1), displacement[None])

  return jax.lax.map(of_row, energy)


@functools.partial(jax.jit, static_argnames='is_horizontal')
def refine_modes(
  first: Array,
  second: Array,
  coarse: Modes,
  expected: Array | None = None,
  *,
  is_horizontal: bool = False,
) -> Modes:
  """Modes at the next finer level, or at the same one.

  Args:
    first: First frame, [h, w, C].
    second: Second frame.
    coarse: Modes of the coarser level.
    expected: Flow that is a candidate too and more likely, [h, w, 2].
    is_horizontal: Whether nothing moves along y.
  """
  own, other = matching.describe(first), matching.describe(second)
  height, width = own.variance.shape
  displacement = _candidates(coarse, (height, width))
  if expected is not None:
    expected = jnp.round(expected).astype(displacement.dtype)[:, :, None]
    displacement = jnp.concatenate([displacement, expected], axis=2)
  best = jnp.full(displacement.shape[:-1], _NEVER), displacement

  def look(
    best: tuple[Array, Array], offset: Array
  ) -> tuple[tuple[Array, Array], None]:
    moved = displacement + offset[None, None, None]
    cost = matching.costs_at(own, other, moved)
    is_better = cost < best[0]
    return (
      jnp.where(is_better, cost, best[0]),
      jnp.where(is_better[..., None], moved, best[1]),
    ), None

  steps = (0,) if is_horizontal else (0, -1, 1)
  offsets = jnp.array([(x, y) for y in steps for x in (0, -1, 1)])
  (cost, displacement), _ = jax.lax.scan(look, best, offsets)
  if expected is not None:
    cost = cost.at[:, :, -1].add(-_EXPECTED)
  energy = scanlines.marginals_of_some(
    cost, displacement, scanlines.jumps_of(first)
  )
  num = energy.shape[-1]
  found = _best(energy.reshape(-1, num), displacement.reshape(-1, num, 2))
  return jax.tree.map(
    lambda values: values.reshape(height, width, *values.shape[1:]), found
  )


@jax.jit
def with_chosen(modes: Modes, flow: Array) -> Modes:
  """Modes whose first is a flow, [h, w, 2].

  It replaces the nearest mode and has its weight; if none is near, it replaces
  the last one and has the weight 0. The others keep their order.
  """
  places = modes.displacement.astype(flow.dtype)
  apart = jnp.max(jnp.abs(places - flow[:, :, None]), axis=-1)
  apart = jnp.where(modes.weight > 0, apart, _NEVER)
  is_near = jnp.min(apart, axis=-1, keepdims=True) < _APART
  taken = jnp.where(
    is_near, jnp.argmin(apart, axis=-1, keepdims=True), _NUM_MODES - 1
  )
  weight = jnp.take_along_axis(modes.weight, taken, axis=-1)
  places = jnp.where(
    jnp.arange(_NUM_MODES)[None, None, :, None] == taken[..., None],
    flow[:, :, None],
    places,
  )
  order = jnp.argsort(jnp.arange(_NUM_MODES)[None, None] != taken, axis=-1)
  weights = jnp.take_along_axis(modes.weight, order, axis=-1)
  return Modes(
    jnp.take_along_axis(places, order[..., None], axis=2),
    weights.at[:, :, :1].set(jnp.where(is_near, weight, 0)),
  )


def _candidates(coarse: Modes, size: Sequence[int]) -> Array:
  """Displacements of the next finer level, [h, w, M, 2]."""
  height, width = coarse.weight.shape[:2]
  best = jnp.pad(
    coarse.displacement[:, :, 0], ((1, 1), (1, 1), (0, 0)), mode='edge'
  )
  around = [
    best[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _AROUND
  ]
  together = jnp.concatenate(
    [coarse.displacement, jnp.stack(around, axis=2)], axis=2
  )
  rows, columns = (
    (jnp.arange(fine) * small) // fine
    for fine, small in zip(size, (height, width), strict=True)
  )
  factor = 1 if tuple(size) == (height, width) else 2
  return factor * together[rows[:, None], columns[None]]


def _best(energy: Array, displacement: Array) -> Modes:
  """The lowest of energies [n, M], each apart from better ones.

  Their displacements are [n or 1, M, 2].
  """
  displacement = jnp.broadcast_to(displacement, (*energy.shape, 2))
  places: list[Array] = []
  energies: list[Array] = []
  for _ in range(_NUM_MODES):
    index = jnp.argmin(energy, axis=1)[:, None]
    place = jnp.take_along_axis(displacement, index[..., None], axis=1)
    lowest = jnp.take_along_axis(energy, index, axis=1)
    is_none = lowest >= _NEVER / 2
    # Where none is left, the first is repeated.
    place = jnp.where(is_none[..., None], (places or [place])[0], place)
    places.append(place)
    energies.append(jnp.where(is_none, _NEVER, lowest))
    is_near = jnp.max(jnp.abs(displacement - place), axis=-1) < _APART
    energy = jnp.where(is_near, _NEVER, energy)
  weight = jax.nn.softmax(
    -jnp.concatenate(energies, axis=1) / _TEMPERATURE, axis=1
  )
  return Modes(jnp.concatenate(places, axis=1), weight)
