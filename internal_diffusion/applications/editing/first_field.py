"""The first fill, at the coarsest level: patches drawn one after another.

The next patch is the one with the most known pixels around a missing one, and
with the most contrast in them (after Criminisi et al. 2004). Its source is drawn
from the posterior given its known pixels x,

  log p(s | x) = -|W (x - x_s)|^2 / (2 sigma^2) + const,

where W leaves out all that is missing, and sigma^2 is the squared distance per
value to the nearest source: the noise level of highest likelihood. It fills
what is missing of the patch, and counts as known with less weight.
"""

import functools

import jax
import jax.numpy as jnp

from internal_diffusion.applications.editing.fill_levels import (
  MARGIN,
  PATCH_SIZE,
  FillLevel,
)
from internal_diffusion.applications.editing.patch_sources import windows

Array = jax.Array

_CONTRAST = 0.3  # Contrast of a flat patch, over the standard deviation of all.
_DISORDER = 0.3  # Scale of the noise on the logarithm of the order.


@functools.partial(jax.jit, static_argnames='num')
def draw_first_fields(
  key: Array, level: FillLevel, *, num: int
) -> tuple[Array, Array]:
  """Draws fills of the hole.

  Args:
    key: One key.
    level: Coarsest level of the pyramid.
    num: Number B of fills.

  Returns:
    Fields [B, H * W] and pictures [B, H, W, C].
  """
  bank = windows(level.image, level.sources)
  keys = jax.random.split(key, num)
  return jax.vmap(lambda k: _draw_one(k, level, bank))(keys)


def _draw_one(
  key: Array, level: FillLevel, bank: Array
) -> tuple[Array, Array]:
  height, width = level.size
  spread = _spread_of_known(level)
  is_hole = jnp.zeros(height * width).at[level.holes].set(1.0)
  is_hole = is_hole.at[level.outside].set(0.0)

  def is_open(state: tuple[Array, ...]) -> Array:
    return jnp.any((state[1].ravel() == 0) & (is_hole > 0))

  def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
    picture, trust, field, index = state
    own_key = jax.random.fold_in(key, index)
    order_key, source_key = jax.random.split(own_key)
    order = _order(picture, trust, level, spread)
    noise = _DISORDER * jax.random.gumbel(order_key, order.shape)
    missing = (trust.ravel() == 0) & (is_hole > 0)
    place = jnp.argmax(jnp.where(missing, jnp.log(order) + noise, -jnp.inf))
    mean_trust = _box_mean(trust[..., None])[..., 0].ravel()[place]
    source = _draw_source(source_key, level, bank, picture, trust, place)
    row, column = jnp.divmod(place, width)
    start = (row - MARGIN, column - MARGIN)
    size = (PATCH_SIZE, PATCH_SIZE)
    old = jax.lax.dynamic_slice(picture, (*start, 0), (*size, bank.shape[-1]))
    old_trust = jax.lax.dynamic_slice(trust, start, size)
    inside = jax.lax.dynamic_slice(level.weight, start, size)
    new = windows(level.image, source[None])[0]
    is_new = (old_trust == 0) & (inside > 0)
    picture = jax.lax.dynamic_update_slice(
      picture, jnp.where(is_new[..., None], new, old), (*start, 0)
    )
    trust = jax.lax.dynamic_update_slice(
      trust, jnp.where(is_new, mean_trust, old_trust), start
    )
    return picture, trust, field, index + 1

  start = (level.image, level.known, jnp.zeros(height * width, jnp.int32), 0)
  picture, _, field, _ = jax.lax.while_loop(is_open, step, start)
  return field, picture


def _spread_of_known(level: FillLevel) -> Array:
  """Standard deviation of the known pixels."""
  weight = level.known[..., None] / jnp.sum(level.known)
  mean = jnp.sum(weight * level.image, axis=(0, 1), keepdims=True)
  square = jnp.sum(weight * (level.image - mean) ** 2) / mean.size
  return jnp.sqrt(square) + 1e-3


def _box_mean(image: Array) -> Array:
  """Mean over the window of each pixel, [H, W, C]."""
  summed = jax.lax.reduce_window(
    image,
    0.0,
    jax.lax.add,
    (PATCH_SIZE, PATCH_SIZE, 1),
    (1, 1, 1),
    'SAME',
  )
  return summed / PATCH_SIZE**2


def _order(
  picture: Array, trust: Array, level: FillLevel, spread: Array
) -> Array:
  """How early each patch is drawn, [H * W], above 0."""
  has = (trust > 0).astype(picture.dtype)[..., None]
  count = jnp.maximum(_box_mean(has), 1e-6)
  mean = _box_mean(has * picture) / count
  square = _box_mean(has * picture**2) / count
  variance = jnp.mean(jnp.maximum(square - mean**2, 0), axis=-1)
  contrast = jnp.sqrt(variance) / spread
  known = _box_mean(trust[..., None])[..., 0]
  inside = jnp.maximum(_box_mean(level.weight[..., None])[..., 0], 1e-6)
  return jnp.ravel(known / inside * (_CONTRAST + contrast)) + 1e-9


def _draw_source(
  key: Array,
  level: FillLevel,
  bank: Array,
  picture: Array,
  trust: Array,
  place: Array,
) -> Array:
  """Draws the position of a source given the known pixels of a patch."""
  patch = windows(picture, place[None])
  own = windows(trust[..., None], place[None])[..., 0]
  weight = own / jnp.maximum(jnp.sum(own), 1e-6)
  squares = jnp.mean((bank - patch) ** 2, axis=-1)
  distance = jnp.sum(weight * squares, axis=(1, 2))
  is_one = jnp.arange(len(distance)) < level.num_sources
  distance = jnp.where(is_one, distance, jnp.inf)
  num_values = jnp.sum(own > 0) * picture.shape[-1]
  noise = jnp.maximum(jnp.min(distance), 1e-5)
  logits = -num_values * distance / (2 * noise)
  return level.sources[jax.random.categorical(key, logits)]
