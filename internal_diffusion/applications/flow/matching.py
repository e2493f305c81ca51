"""Costs of matching pixels of one frame to pixels of another, in [0, 1].

The cost of displacement d at pixel p compares the surroundings and the colours,

  C(p, d) = (1 - c) min(1, 1 - s) + c min(1, |I_p - I'_{p+d}|^2 / t^2),

with the similarity of the surroundings without their means

  s = 2 (cov + f^2) / (var + var' + 2 f^2).

Covariance and variance are Gaussian averages over 3x3 pixels, summed over the
channels; the contrast f does not count as texture. The surroundings find the
pixel, the colour says on which side of an edge it lies. Beyond the frame the
cost is that of content that is not visible.

Averages of products are scalar products of descriptors, so all costs of a row
of pixels to another row are one matrix product.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_RADIUS = 1  # Of the surroundings, in pixels.
_WINDOW = 0.7  # Standard deviation of their weights, in pixels.
_CONTRAST_FLOOR = 0.02  # f.
_COLOUR_WEIGHT = 0.6  # c.
_COLOUR_SCALE = 0.2  # t.
_HIDDEN = 0.6  # Cost of content that is not visible.


class Descriptors(NamedTuple):
  """What costs need of a frame.

  Attributes:
    patch: Weighted surroundings without their mean, [h, w, 9 C].
    variance: Their squared length, [h, w].
    colour: The pixels over t, [h, w, C].
  """

  patch: Array
  variance: Array
  colour: Array


def describe(frame: Array) -> Descriptors:
  """Descriptors of a frame, [h, w, C]."""
  height, width, _ = frame.shape
  steps = np.arange(-_RADIUS, _RADIUS + 1)
  weight = np.exp(-np.add.outer(steps**2, steps**2) / (2 * _WINDOW**2)).ravel()
  weight /= weight.sum()
  margin = ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0))
  padded = jnp.pad(frame, margin, mode='edge')
  around = jnp.stack(
    [
      padded[y : y + height, x : x + width]
      for y in range(len(steps))
      for x in range(len(steps))
    ],
    axis=2,
  )
  mean = jnp.einsum('k,hwkc->hwc', jnp.asarray(weight, jnp.float32), around)
  root = jnp.asarray(np.sqrt(weight), jnp.float32)[None, None, :, None]
  patch = root * (around - mean[:, :, None])
  patch = patch.reshape(height, width, -1)
  return Descriptors(patch, jnp.sum(patch**2, axis=-1), frame / _COLOUR_SCALE)


def all_costs(
  first: Descriptors, second: Descriptors, *, reach: tuple[int, int]
) -> Array:
  """Costs of all displacements up to a reach (y, x).

  Returns:
    Costs [h, w, 2 y + 1, 2 x + 1]; the middle one is that of no displacement.
  """
  down, right = reach
  margin = ((down, down), (right, right))
  height, width = first.variance.shape
  inside = jnp.pad(jnp.ones((height, width), bool), margin)
  others = Descriptors(
    *(jnp.pad(x, (*margin, (0, 0))[: x.ndim], mode='edge') for x in second)
  )

  def of_row(y: Array) -> Array:
    """Costs of one row of pixels, [2 y + 1, w, 2 x + 1]."""
    own = jax.tree.map(lambda x: x[y], first)

    def to_row(target: Array) -> Array:
      other = jax.tree.map(lambda x: x[target], others)
      cost = _cost(
        own.patch @ other.patch.T,
        own.variance[:, None] + other.variance[None],
        jnp.sum(own.colour**2, axis=-1)[:, None]
        + jnp.sum(other.colour**2, axis=-1)[None]
        - 2 * own.colour @ other.colour.T,
      )
      return _band(jnp.where(inside[target], cost, _HIDDEN), 2 * right + 1)

    return jax.vmap(to_row)(y + jnp.arange(2 * down + 1))

  rows = jax.lax.map(of_row, jnp.arange(height))
  return jnp.moveaxis(rows, 1, 2)


def costs_at(
  first: Descriptors, second: Descriptors, displacement: Array
) -> Array:
  """Costs of displacements (x, y), whole pixels [h, w, K, 2], [h, w, K]."""
  height, width = first.variance.shape

  def of_row(y: Array) -> Array:
    own = jax.tree.map(lambda values: values[y, :, None], first)
    moves = displacement[y].astype(jnp.int32)
    column, row = jnp.arange(width)[:, None] + moves[..., 0], y + moves[..., 1]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    row, column = row.clip(0, height - 1), column.clip(0, width - 1)
    other = jax.tree.map(lambda values: values[row, column], second)
    cost = _cost(
      jnp.sum(own.patch * other.patch, axis=-1),
      own.variance + other.variance,
      jnp.sum((own.colour - other.colour) ** 2, axis=-1),
    )
    return jnp.where(inside, cost, _HIDDEN)

  return jax.lax.map(of_row, jnp.arange(height))


def _cost(covariance: Array, variances: Array, colour: Array) -> Array:
  floor = _CONTRAST_FLOOR**2
  similarity = 2 * (covariance + floor) / (variances + 2 * floor)
  apart = jnp.clip(1 - similarity, 0, 1)
  return (1 - _COLOUR_WEIGHT) * apart + _COLOUR_WEIGHT * jnp.clip(colour, 0, 1)


def _band(matrix: Array, width: int) -> Array:
  """Entries [i, i + j] of a matrix [n, m], for j below `width`, [n, width]."""
  num, length = matrix.shape
  flat = jnp.pad(matrix.ravel(), (0, num))
  return flat.reshape(num, length + 1)[:, :width]
