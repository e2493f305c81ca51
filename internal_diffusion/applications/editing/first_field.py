"""The first fill: patches drawn one after another.

The next patch is the one with the most known pixels around a missing one, and
with the most contrast in them (after Criminisi et al. 2004). Its source is
drawn from the posterior given its known pixels x,

  log p(s | x) = -|W (x - x_s)|^2 / (2 sigma^2) - |delta| / l - r n(s) + const,

where W leaves out all that is missing, and sigma^2 is the squared distance per
value to the nearest source: the noise level of highest likelihood. Neighbouring
values are alike, so the distance counts as one of `_NUM_VALUES` values. Offsets
delta of a source, rows plus columns, are short in most places (He & Sun 2012),
so that a wall goes on beside a face. n(s) is how often the source's pixels were
used before, so that no object is repeated (Kaspar et al. 2015). The
source fills what is missing of the patch, which then counts as known with less
weight.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.applications.editing.fill_levels import (
  FillLevel,
)
from internal_diffusion.applications.editing.patch_sources import (
  patch_weights,
  windows,
)

Array = jax.Array

_CONTRAST = 0.3  # Contrast of a flat patch, over the standard deviation of all.
_DISORDER = 0.3  # Scale of the noise on the logarithm of the order.
# Number of independent values of a patch: far fewer than its pixels.
_NUM_VALUES = 20
_MAX_SOURCES = 4096  # Number of sources that are compared.
_REACH = 0.15  # Length l of offsets, over the hole's inscribed radius.
_BEYOND = 100.0  # Weight of each pixel that comes from beyond an edge.
_REPEAT = 2.0  # Weight r of the number of uses.


class _State(NamedTuple):
  """A hole that is filled in part.

  Attributes:
    picture: [H, W, C].
    trust: 1 at known pixels, less at drawn ones, 0 at missing ones, [H, W].
    sources: Position of the source of each pixel, [H, W].
    order: Logarithm of how early each patch is drawn, [H, W].
    uses: How often each pixel was copied, [H, W].
    num_drawn: Number of patches that were drawn.
  """

  picture: Array
  trust: Array
  sources: Array
  order: Array
  uses: Array
  num_drawn: Array


class _Bank(NamedTuple):
  """Source patches.

  Attributes:
    positions: [M].
    values: [M, P*P*C].
    squares: Their squares, summed over channels, [M, P*P].
    beyond: 1 at pixels that an edge separates from the centre, [M, P*P].
  """

  positions: Array
  values: Array
  squares: Array
  beyond: Array


@functools.partial(jax.jit, static_argnames='num')
def draw_first_sources(key: Array, level: FillLevel, *, num: int) -> Array:
  """Draws fills of the hole, as many with patches of each side.

  Args:
    key: One key.
    level: Level of the pyramid.
    num: Number B of fills, a multiple of the number of sides.

  Returns:
    Positions of the sources of all pixels, [B, H * W]; known ones are their
    own.
  """
  spread = _spread_of_known(level)
  found = []
  for index, side in enumerate(level.first_sides):
    bank_key, own_key = jax.random.split(jax.random.fold_in(key, index))
    bank = _make_bank(bank_key, level, index)
    keys = jax.random.split(own_key, num // len(level.first_sides))
    draw = functools.partial(
      _draw_one, level=level, bank=bank, spread=spread, side=side
    )
    found.append(jax.vmap(draw)(keys))
  return jnp.concatenate(found)


def _make_bank(key: Array, level: FillLevel, index: int) -> _Bank:
  """Sources of the patches of one side."""
  sources, side = level.first_sources[index], level.first_sides[index]
  most = min(_MAX_SOURCES, len(sources))
  # Every so many, from a random first one, so that all regions are there.
  first = jax.random.uniform(key)
  chosen = (jnp.arange(most) + first) * level.num_first_sources[index] / most
  positions = sources[chosen.astype(jnp.int32)]
  values = windows(level.image, positions, side=side)
  squares = jnp.sum(values**2, axis=-1).reshape(most, -1)
  beyond = 1 - patch_weights(level, positions, side=side)
  return _Bank(
    positions, values.reshape(most, -1), squares, beyond.reshape(most, -1)
  )


def _spread_of_known(level: FillLevel) -> Array:
  """Standard deviation of the known pixels."""
  weight = level.known[..., None] / jnp.sum(level.known)
  mean = jnp.sum(weight * level.image, axis=(0, 1), keepdims=True)
  square = jnp.sum(weight * (level.image - mean) ** 2) / mean.size
  return jnp.sqrt(square) + 1e-3


def _draw_one(
  key: Array, level: FillLevel, bank: _Bank, spread: Array, side: int
) -> Array:
  size = level.size
  is_hole = (level.weight > 0) & (level.known == 0)

  def is_open(state: _State) -> Array:
    return jnp.any((state.trust == 0) & is_hole)

  def step(state: _State) -> _State:
    own_key = jax.random.fold_in(key, state.num_drawn)
    order_key, source_key = jax.random.split(own_key)
    noise = _DISORDER * jax.random.gumbel(order_key, size)
    missing = (state.trust == 0) & is_hole
    order = jnp.where(missing, state.order + noise, -jnp.inf)
    place = jnp.argmax(order.ravel()).astype(jnp.int32)
    log_prior = _log_prior(level, bank, state.uses, place, side)
    seen = patch_weights(level, place[None], side=side)[0]
    source = _draw_source(source_key, bank, state, place, seen, log_prior)
    return _reorder(
      _paste(state, level, place, source, seen), level, place, spread, side
    )

  order = _order(level.image, level.known, level.weight, spread, side)
  start = _State(
    picture=level.image,
    trust=level.known,
    sources=jnp.arange(size[0] * size[1], dtype=jnp.int32).reshape(size),
    order=jnp.pad(order, side // 2),
    uses=jnp.zeros(size),
    num_drawn=jnp.int32(0),
  )
  return jax.lax.while_loop(is_open, step, start).sources.ravel()


def _draw_source(
  key: Array,
  bank: _Bank,
  state: _State,
  place: Array,
  seen: Array,
  log_prior: Array,
) -> Array:
  """Draws the position of a source given the known pixels of a patch.

  Args:
    key: One key.
    bank: Sources.
    state: What is known.
    place: Position of the patch.
    seen: Weights of its pixels, [P, P].
    log_prior: Logarithm of the sources' prior, [M].
  """
  side = len(seen)
  patch = windows(state.picture, place[None], side=side)[0]
  own = windows(state.trust[..., None], place[None], side=side)[0]
  own = own * seen[..., None]
  weight = own / jnp.maximum(jnp.sum(own), 1e-6)
  weighted = (weight * patch).ravel()
  distance = bank.squares @ weight.ravel() - 2 * bank.values @ weighted
  distance = distance + jnp.sum(weight * patch**2)
  distance = jnp.maximum(distance, 0) / patch.shape[-1]
  noise = jnp.maximum(jnp.min(distance), 1e-5)
  logits = log_prior - _NUM_VALUES * distance / (2 * noise)
  # What is copied to one side of an edge is of one side of it.
  copied = seen * (own[..., 0] == 0)
  logits = logits - _BEYOND * (bank.beyond @ copied.ravel())
  return bank.positions[jax.random.categorical(key, logits)]


def _log_prior(
  level: FillLevel, bank: _Bank, uses: Array, place: Array, side: int
) -> Array:
  """Logarithm of the sources' prior, [M], but for a constant."""
  (row, column), own = (
    jnp.divmod(x, level.size[1]) for x in (bank.positions, place)
  )
  offset = jnp.abs(row - own[0]) + jnp.abs(column - own[1])
  inside = level.weight.ravel() > 0
  radius = jnp.max(jnp.where(inside, level.depth, 0))
  of_patches = jnp.pad(_box_sum(uses[..., None], side)[..., 0], side // 2)
  number = of_patches.ravel()[bank.positions] / side**2
  return -offset / (_REACH * radius) - _REPEAT * number


def _paste(
  state: _State, level: FillLevel, place: Array, source: Array, seen: Array
) -> _State:
  """Fills what is missing and seen of the patch at `place` from a source."""
  side = len(seen)
  width, num_channels = level.size[1], level.image.shape[-1]
  start = _corner(place, width, side // 2)
  steps = jnp.arange(side) - side // 2
  there = source + steps[:, None] * width + steps[None]
  new = level.image.reshape(-1, num_channels)[there]
  trust = jax.lax.dynamic_slice(state.trust, start, (side, side))
  inside = jax.lax.dynamic_slice(level.weight, start, (side, side))
  is_new = (trust == 0) & (seen > 0)
  mean_trust = jnp.sum(trust) / jnp.maximum(jnp.sum(inside), 1)
  uses = state.uses.ravel().at[there].add(is_new.astype(jnp.float32))

  def put(whole: Array, part: Array) -> Array:
    start_of = (*start, 0)[: whole.ndim]
    size = (side, side, num_channels)[: whole.ndim]
    old = jax.lax.dynamic_slice(whole, start_of, size)
    where = is_new.reshape(is_new.shape + (1,) * (whole.ndim - 2))
    return jax.lax.dynamic_update_slice(
      whole, jnp.where(where, part, old), start_of
    )

  return state._replace(
    picture=put(state.picture, new),
    trust=put(state.trust, mean_trust),
    sources=put(state.sources, there),
    uses=uses.reshape(state.uses.shape),
    num_drawn=state.num_drawn + 1,
  )


def _reorder(
  state: _State,
  level: FillLevel,
  place: Array,
  spread: Array,
  patch_side: int,
) -> _State:
  """Corrects the order of the patches around one that was drawn."""
  # A patch that overlaps the drawn one is up to its side away.
  own = patch_side
  reach = own + own // 2
  side = min(2 * reach + 1, *level.size)
  # Near the border the block begins where it is whole.
  row, column = _corner(place, level.size[1], reach)
  row = jnp.clip(row, 0, level.size[0] - side)
  column = jnp.clip(column, 0, level.size[1] - side)
  picture = jax.lax.dynamic_slice(
    state.picture, (row, column, 0), (side, side, level.image.shape[-1])
  )
  trust, weight = (
    jax.lax.dynamic_slice(part, (row, column), (side, side))
    for part in (state.trust, level.weight)
  )
  order = _order(picture, trust, weight, spread, own)
  order = jax.lax.dynamic_update_slice(
    state.order, order, (row + own // 2, column + own // 2)
  )
  return state._replace(order=order)


def _order(
  picture: Array, trust: Array, weight: Array, spread: Array, side: int
) -> Array:
  """Logarithm of how early patches are drawn, without a margin."""
  has = (trust > 0)[..., None].astype(picture.dtype)
  parts = jnp.concatenate(
    [has, has * picture, has * picture**2, trust[..., None], weight[..., None]],
    axis=-1,
  )
  sums = _box_sum(parts, side)
  num_channels = picture.shape[-1]
  count, mean, square, trusted, inside = jnp.split(
    sums, [1, 1 + num_channels, 1 + 2 * num_channels, 2 + 2 * num_channels], -1
  )
  mean, square = (part / jnp.maximum(count, 1) for part in (mean, square))
  variance = jnp.mean(jnp.maximum(square - mean**2, 0), axis=-1)
  contrast = jnp.sqrt(variance) / spread
  known = (trusted / jnp.maximum(inside, 1))[..., 0]
  return jnp.log(known * (_CONTRAST + contrast) + 1e-9)


def _box_sum(image: Array, side: int) -> Array:
  """Sums over the windows that fit an image [H, W, C]."""
  return jax.lax.reduce_window(
    image,
    0.0,
    jax.lax.add,
    (side, side, 1),
    (1, 1, 1),
    'VALID',
  )


def _corner(place: Array, width: int, reach: int) -> tuple[Array, Array]:
  row, column = jnp.divmod(place, width)
  return row - reach, column - reach
