"""Distributions over a triplet: which parts are generated, which are given.

  patch                p(source)                  new patches
  target_given_source  p(target | source, delta)  super-resolution
  cascade              p(target | source)         target one level finer
  delta_given_pair     p(delta | source, target)  displacement
  joint                p(source, target, delta)   all of these

Each is a function from a triplet to (x0, cond): the generated and the given
parts, concatenated. The condition of the joint has the same parts as x0, and
the mask `Condition.given` selects the given ones, so one model answers every
query that it was trained with.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import Condition, PatchTriplet

Array = jax.Array


class Part(NamedTuple):
  """One part of a vector.

  Attributes:
    name: Field of the triplet.
    size: Length of the part.
  """

  name: str
  size: int

  @property
  def is_coordinates(self) -> bool:
    """Whether the part is a delta or a point rather than a patch."""
    return self.size <= 3 or self.name == 'delta'


class Layout(NamedTuple):
  """Layout of the vectors of a denoiser.

  Attributes:
    x0: Generated parts.
    given: Parts of the condition's vector.
    num_levels: Number of pyramid levels in the condition; 0 if it has no level.
  """

  x0: tuple[Part, ...]
  given: tuple[Part, ...] = ()
  num_levels: int = 0

  @property
  def is_joint(self) -> bool:
    """Whether the condition has the same parts as x0."""
    return self.x0 == self.given

  @property
  def x0_sizes(self) -> tuple[int, ...]:
    """Lengths of the parts of x0."""
    return tuple(part.size for part in self.x0)

  @property
  def given_sizes(self) -> tuple[int, ...]:
    """Lengths of the parts of the condition's vector."""
    return tuple(part.size for part in self.given)


@dataclasses.dataclass(frozen=True)
class Distribution:
  """A distribution over parts of a triplet.

  Attributes:
    generated: Fields of the triplet in x0.
    given: Fields of the triplet in the condition's vector.
    queries: Sets of fields that training gives to a joint distribution, drawn
      with equal probability; a repeated set is drawn more often.
  """

  generated: tuple[str, ...]
  given: tuple[str, ...] = ()
  queries: tuple[tuple[str, ...], ...] = ()

  def __call__(self, triplet: PatchTriplet) -> tuple[Array, Condition]:
    """Converts triplets to x0 [N, D] and a condition with all parts given."""
    vector = _concatenate(triplet, self.given) if self.given else None
    return (
      _concatenate(triplet, self.generated),
      Condition(level=triplet.level, vector=vector),
    )

  def layout(
    self, patch_dim: int, *, num_levels: int, delta_dim: int = 3
  ) -> Layout:
    """Layout for patches and deltas of the given lengths."""

    def parts(names: tuple[str, ...]) -> tuple[Part, ...]:
      return tuple(
        Part(n, delta_dim if n == 'delta' else patch_dim) for n in names
      )

    return Layout(parts(self.generated), parts(self.given), num_levels)

  def mask(self, *names: str) -> tuple[bool, ...]:
    """Mask `Condition.given` of one sample with the named fields given.

    Raises:
      ValueError: If the distribution cannot be given one of the fields.

    Example:
      >>> joint.mask('source')
      (True, False, False)
    """
    for name in names:
      if name not in self.given:
        raise ValueError(f'{name!r} cannot be given; choose from {self.given}.')
    return tuple(name in names for name in self.given)


def make_condition(
  layout: Layout, *, level: Array | None = None, **given: Array
) -> Condition:
  """Makes a condition in which some parts are given.

  Args:
    layout: Layout of the model.
    level: Pyramid level of each sample, [B]; None is level 0.
    **given: Given parts by name, [B, size] each.

  Returns:
    The condition; its `given` is None if every part is given.

  Raises:
    ValueError: If no part is given, the layout lacks a part, or a shape is
      wrong.
  """
  sizes = {part.name: part.size for part in layout.given}
  for name, value in given.items():
    if name not in sizes:
      known = ', '.join(sizes) or 'no condition'
      raise ValueError(f'`{name}` cannot be given; this model takes {known}.')
    if value.ndim != 2 or value.shape[1] != sizes[name]:
      raise ValueError(
        f'`{name}` must be [B, {sizes[name]}], got {value.shape}.'
      )
  batches = {len(value) for value in given.values()}
  if len(batches) != 1:
    raise ValueError(
      'At least one part must be given, and all parts need one batch size, got'
      f' {sorted(batches)}.'
    )
  (batch,) = batches
  if layout.num_levels and level is None:
    level = jnp.zeros(batch, jnp.int32)
  mask = [name in given for name in sizes]
  parts = [
    given.get(name, jnp.zeros((batch, size))) for name, size in sizes.items()
  ]
  return Condition(
    level=level,
    vector=jnp.concatenate(parts, axis=-1),
    given=None if all(mask) else jnp.tile(jnp.array(mask), (batch, 1)),
  )


def split(
  vectors: Array | np.ndarray, parts: tuple[Part, ...]
) -> dict[str, Array]:
  """Splits vectors [N, D] into their parts by name.

  Example:
    >>> parts = split(jnp.zeros((2, 12)), (Part('source', 9), Part('delta', 3)))
    >>> parts['delta'].shape
    (2, 3)
  """
  by_name, start = {}, 0
  for name, size in parts:
    by_name[name] = jnp.asarray(vectors[:, start : start + size])
    start += size
  return by_name


def _concatenate(triplet: PatchTriplet, names: tuple[str, ...]) -> Array:
  return jnp.concatenate([getattr(triplet, name) for name in names], axis=-1)


patch = Distribution(generated=('source',))
target_given_source = Distribution(
  generated=('target',), given=('source', 'delta')
)
# The delta is constant: one level finer at the same position.
cascade = Distribution(generated=('target',), given=('source',))
delta_given_pair = Distribution(
  generated=('delta',), given=('source', 'target')
)
joint = Distribution(
  generated=('source', 'target', 'delta'),
  given=('source', 'target', 'delta'),
  # Two of five draws for each conditional, one for the joint itself.
  queries=((), *2 * (('source', 'delta'), ('source', 'target'))),
)
