"""The four distributions: which part of a triplet is generated, which given.

  patch                p(source)                  new patches
  target_given_source  p(target | source, delta)  super-resolution
  delta_given_pair     p(delta | source, target)  displacement, ambiguous or not
  joint                p(source, target, delta)   all of these

Each is a function from a triplet to (x0, cond): what is generated and what is
given, as vectors whose parts stand one behind the other. The joint is given its
own parts too: `Condition.given` says which, so one model answers every query
that it was trained with.
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
    name: The triplet's field.
    size: Its length.
  """

  name: str
  size: int

  @property
  def is_coordinates(self) -> bool:
    """Whether it is a few numbers, a delta or a point, rather than a patch."""
    return self.size <= 3


class Layout(NamedTuple):
  """What a denoiser of a distribution generates and is told.

  Attributes:
    x0: The parts that are generated.
    given: The parts of the condition's vector.
    num_levels: Pyramid levels that the condition may name; 0 is for none.
  """

  x0: tuple[Part, ...]
  given: tuple[Part, ...] = ()
  num_levels: int = 0

  @property
  def is_joint(self) -> bool:
    """Whether what may be given is what is generated."""
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
    generated: Fields of the triplet that x0 is made of.
    given: Fields that the condition's vector is made of.
    queries: Where x0 may be given in part: the sets of fields that are given in
      training, each as often as it is there.
  """

  generated: tuple[str, ...]
  given: tuple[str, ...] = ()
  queries: tuple[tuple[str, ...], ...] = ()

  def __call__(self, triplet: PatchTriplet) -> tuple[Array, Condition]:
    """From a triplet to x0 [N, D] and its condition, all of it given."""
    vector = _concatenate(triplet, self.given) if self.given else None
    return (
      _concatenate(triplet, self.generated),
      Condition(level=triplet.level, vector=vector),
    )

  def layout(self, patch_dim: int, *, num_levels: int) -> Layout:
    """The layout for patches of length `patch_dim`."""

    def parts(names: tuple[str, ...]) -> tuple[Part, ...]:
      return tuple(Part(n, 3 if n == 'delta' else patch_dim) for n in names)

    return Layout(parts(self.generated), parts(self.given), num_levels)

  def mask(self, *names: str) -> tuple[bool, ...]:
    """`Condition.given` of one sample where the named fields are given.

    Raises:
      ValueError: If a name is none of the distribution's.
    """
    for name in names:
      if name not in self.given:
        raise ValueError(
          f'{name!r} is not among what may be given, {self.given}.'
        )
    return tuple(name in names for name in self.given)


def make_condition(
  layout: Layout, *, level: Array | None = None, **given: Array
) -> Condition:
  """The condition of a query: some parts given, the others not.

  Args:
    layout: That of the model.
    level: Pyramid level of each sample [B]; 0 if left out.
    **given: Parts by name, [B, size] each.

  Returns:
    The condition. Its `given` is None where every part is.

  Raises:
    ValueError: If a part is none of the layout's, its shape is wrong, or none
      is given.
  """
  sizes = {part.name: part.size for part in layout.given}
  for name, value in given.items():
    if name not in sizes:
      known = ', '.join(sizes) or 'nothing'
      raise ValueError(
        f'`{name}` cannot be given; this model is given {known}.'
      )
    if value.ndim != 2 or value.shape[1] != sizes[name]:
      raise ValueError(
        f'`{name}` must be [B, {sizes[name]}], got {value.shape}.'
      )
  batches = {len(value) for value in given.values()}
  if len(batches) != 1:
    raise ValueError(
      'At least one part must be given, and all for as many samples, got'
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
  """Vectors [N, D] into their parts by name."""
  found, start = {}, 0
  for name, size in parts:
    found[name] = jnp.asarray(vectors[:, start : start + size])
    start += size
  return found


def _concatenate(triplet: PatchTriplet, names: tuple[str, ...]) -> Array:
  return jnp.concatenate([getattr(triplet, name) for name in names], axis=-1)


patch = Distribution(generated=('source',))
target_given_source = Distribution(
  generated=('target',), given=('source', 'delta')
)
# One level finer at the same place: the delta is always the same.
cascade = Distribution(generated=('target',), given=('source',))
delta_given_pair = Distribution(
  generated=('delta',), given=('source', 'target')
)
joint = Distribution(
  generated=('source', 'target', 'delta'),
  given=('source', 'target', 'delta'),
  # The conditionals are asked for more often than the whole.
  queries=((), *2 * (('source', 'delta'), ('source', 'target'))),
)
