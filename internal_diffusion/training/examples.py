"""Examples of a training run: drawn from an image, or from a set of points.

A draw is a value `(key, data, num) -> (x0 [num, D], cond)`; the arrays that it
draws from are passed to compiled steps beside it.
"""

import dataclasses
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import cascade, pair_table, triplets
from internal_diffusion.data import pyramid as pyramid_lib
from internal_diffusion.data.distributions import Distribution, Layout, Part
from internal_diffusion.data.pair_table import DisplacementRange
from internal_diffusion.types import Condition, PatchTriplet

Array = jax.Array


class Draw(Hashable, Protocol):
  """Draws examples with clean and complete conditions; compared by value."""

  def __call__(
    self, key: Array, data: Any, num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` examples x0 [num, D] and their conditions."""


@dataclasses.dataclass(frozen=True)
class Examples:
  """A source of examples.

  Attributes:
    data: Arrays that the draw needs, a pytree.
    draw: The draw.
    layout: Parts of x0 and of the condition.
    queries: Masks of the given parts of a joint model, [M][G]; empty otherwise.
  """

  data: Any
  draw: Draw
  layout: Layout
  queries: tuple[tuple[bool, ...], ...] = ()


class TripletData(NamedTuple):
  """A pyramid and the table of its pairs of patches."""

  pyramid: pyramid_lib.Pyramid
  table: pair_table.PairTable


@dataclasses.dataclass(frozen=True)
class TripletDraw:
  """Draws triplets of a pyramid.

  Attributes:
    distribution: Which parts of a triplet are generated and given.
    patch_size: Side P of a patch.
    displacement_range: Range of displacements along each axis.
    subpixel: Whether targets lie between pixels too.
    dihedral: Whether triplets are rotated and mirrored at random.
  """

  distribution: Distribution
  patch_size: int
  displacement_range: DisplacementRange
  subpixel: bool = False
  dihedral: bool = False

  def triplets(self, key: Array, data: TripletData, num: int) -> PatchTriplet:
    """Draws `num` triplets."""
    return triplets.sample_triplets(
      key,
      data.pyramid,
      data.table,
      num=num,
      patch_size=self.patch_size,
      displacement_range=self.displacement_range,
      subpixel=self.subpixel,
      dihedral=self.dihedral,
    )

  def __call__(
    self, key: Array, data: TripletData, num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` examples of the distribution."""
    return self.distribution(self.triplets(key, data, num))


@dataclasses.dataclass(frozen=True)
class CascadeDraw:
  """Draws patches of a level's residual, given the next coarser level."""

  patch_size: int

  def __call__(
    self, key: Array, data: cascade.CascadePyramid, num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` examples."""
    target, source, level = cascade.sample_pairs(
      key, data, num=num, patch_size=self.patch_size
    )
    return target, Condition(level=level, vector=source)


@dataclasses.dataclass(frozen=True)
class PointDraw:
  """Draws points, with their conditions, uniformly from a finite set."""

  def __call__(
    self, key: Array, data: tuple[Array, Array | None], num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` points."""
    x0, vector = data
    index = arrays.index_from_uniform(arrays.uniform(key, (num,)), len(x0))
    return x0[index], Condition(
      vector=None if vector is None else vector[index]
    )


def point_examples(
  x0: np.ndarray | Array, *, conditions: np.ndarray | Array | None = None
) -> Examples:
  """Examples drawn from points [N, D], with their conditions [N, K] or without.

  Raises:
    ValueError: If the shapes do not fit.
  """
  x0 = jnp.asarray(x0, jnp.float32)
  given: tuple[Part, ...] = ()
  vector = None
  if conditions is not None:
    vector = jnp.asarray(conditions, jnp.float32)
    if vector.ndim != 2 or len(vector) != len(x0):
      raise ValueError(
        f'`conditions` must be [{len(x0)}, K], got shape {vector.shape}.'
      )
    given = (Part('condition', vector.shape[1]),)
  layout = Layout((Part('point', x0.shape[1]),), given)
  return Examples((x0, vector), PointDraw(), layout)
