"""Which displacement of several each pixel has, if neighbours mostly agree.

The energy of displacements d is

  E(d) = sum_p C(p, d_p) + sum_pq V(d_p, d_q),

over pixels p and their neighbours q, where V is 0 for equal displacements,
`step` for those that differ by one pixel, and `jump` for others (among single
candidates, `step` times their distance and at most `jump`); a jump costs less
across an edge of the image. The minimum over all displacements with d_p
fixed is the negative log of a max-marginal of p. On a grid it is not tractable,
but on a tree it is: the tree of p is its row and its column (semi-global
matching, Hirschmueller 2008, with the correction of Drory et al. 2014, Semi-
global matching: a principled derivation, which counts C(p) once). Four sweeps,
one from each side, find the minima of all pixels:

  L(p, d) = C(p, d) + min_d' (L(p - r, d') + V(d', d)) - min_d' L(p - r, d').
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

_STEP = 0.2
_JUMP = 1.2
_EDGE_CONTRAST = 0.3  # Where the cost of a jump has fallen to 1/e.
_NEVER = 1e6

# (L of the pixels before [m, ...], their and own labels, jump [m]): minima.
_Transition = Callable[[Array, Array, Array, Array], Array]


class Jumps(NamedTuple):
  """Costs of a jump to the next pixel in a row and in a column, [h, w]."""

  along_x: Array
  along_y: Array


def jumps_of(guide: Array) -> Jumps:
  """Costs of jumps that an image [h, w, C] allows."""

  def cost(axis: int) -> Array:
    last = jax.lax.slice_in_dim(guide, guide.shape[axis] - 1, None, axis=axis)
    change = jnp.linalg.norm(jnp.diff(guide, axis=axis, append=last), axis=-1)
    return _STEP + (_JUMP - _STEP) * jnp.exp(-change / _EDGE_CONTRAST)

  return Jumps(cost(1), cost(0))


def marginals_of_all(cost: Array, jumps: Jumps) -> Array:
  """Minima of E for all displacements of a grid, [h, w, Dy, Dx] each."""
  labels = jnp.zeros((*cost.shape[:2], 1))  # All pixels have the same.
  return _four_sweeps(cost, labels, jumps, _from_neighbours)


def marginals_of_some(cost: Array, displacement: Array, jumps: Jumps) -> Array:
  """Minima of E for displacements of each pixel.

  Args:
    cost: C, [h, w, K].
    displacement: Displacements in pixels, [h, w, K, 2].
    jumps: Costs of jumps.

  Returns:
    [h, w, K].
  """
  return _four_sweeps(cost, displacement, jumps, _from_all)


def _from_neighbours(before: Array, _: Array, __: Array, jump: Array) -> Array:
  around = before
  for axis in (1, 2):
    margin = [(0, 0)] * 3
    margin[axis] = (1, 1)
    padded = jnp.pad(around, margin, constant_values=_NEVER)
    size = before.shape[axis]
    parts = [
      jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
    ]
    around = jnp.minimum(jnp.minimum(parts[0], parts[1]), parts[2])
  same = jnp.minimum(before, around + _STEP)
  # The lowest of the pixels before is 0.
  return jnp.minimum(same, jump[:, None, None])


def _from_all(before: Array, their: Array, own: Array, jump: Array) -> Array:
  apart = jnp.max(jnp.abs(own[:, :, None] - their[:, None]), axis=-1)
  change = jnp.minimum(_STEP * apart, jump[:, None, None])
  return jnp.min(before[:, None] + change, axis=-1)


def _four_sweeps(
  cost: Array, labels: Array, jumps: Jumps, transition: _Transition
) -> Array:
  def sweep(
    cost: Array, total: Array, labels: Array, jump: Array, *, reverse: bool
  ) -> Array:
    """Adds one L and takes off 3/4 of C; the first axis is swept."""

    def move(
      before: tuple[Array, Array], here: tuple[Array, Array, Array, Array]
    ) -> tuple[tuple[Array, Array], Array]:
      own_cost, own_total, own, own_jump = here
      found = own_cost + transition(*before, own, own_jump)
      axes = tuple(range(1, found.ndim))
      lowest = jnp.min(found, axis=axes, keepdims=True)
      return (found - lowest, own), own_total + found - 0.75 * own_cost

    start = jnp.zeros_like(cost[0]), labels[0]
    values = cost, total, labels, jump
    return jax.lax.scan(move, start, values, reverse=reverse)[1]

  def both_ways(cost: Array, total: Array, labels: Array, jump: Array) -> Array:
    # The jump between two pixels is kept at the first of them.
    shifted = jnp.concatenate([jump[:1], jump[:-1]])
    total = sweep(cost, total, labels, shifted, reverse=False)
    return sweep(cost, total, labels, jump, reverse=True)

  total = both_ways(cost, jnp.zeros_like(cost), labels, jumps.along_y)
  across = [
    jnp.swapaxes(values, 0, 1)
    for values in (cost, total, labels, jumps.along_x)
  ]
  return jnp.swapaxes(both_ways(*across), 0, 1)
