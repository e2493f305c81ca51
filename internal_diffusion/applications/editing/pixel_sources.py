"""A source for each pixel of a hole: where seams show least.

The field of patches gives each hole pixel p a source s(p), that of the patch
around it. Its pixel is copied, so nothing is blurred, and a seam is where two
neighbours p and q = p + d have sources that do not continue each other. Seams
move to where they cost least (Kwatra et al. 2003; Pritch et al. 2009):

  E(s) = sum_pq |I(s_p) - I(s_q - d)|^2 + |I(s_p + d) - I(s_q)|^2
         + a sum_p |I(s_p) - x(p)|^2

over neighbouring pixels, with I the picture and x the average of the patches;
a known pixel is its own source. Each sweep gives every pixel the best of the
sources that continue those of its neighbours, first at the even pixels of a
chequerboard, then at the odd ones.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.editing.fill_levels import FillLevel

Array = jax.Array

_SWEEPS = 8
_UNARY = 0.1  # Weight a.
_UNKNOWN = 1.0  # Cost of a neighbour of the source that is not known.
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_JUMPS = (1, 2, 4)


@functools.partial(jax.jit, static_argnames='num_sweeps')
def place_seams(
  level: FillLevel,
  field: Array,
  picture: Array,
  *,
  num_sweeps: int = _SWEEPS,
) -> Array:
  """The sources of the pixels.

  Args:
    level: Level of the pyramid.
    field: Sources of the target patches, [H * W].
    picture: Average x of the patches, [H, W, C].
    num_sweeps: Number of sweeps.

  Returns:
    Sources of all pixels, [H * W]; pixels that are not of the hole are their
    own.
  """
  num, width = field.shape[0], level.size[1]
  holes = level.holes
  image = level.image.reshape(num, -1)
  average = picture.reshape(num, -1)[holes]
  is_known = level.known.ravel() > 0
  is_inside = level.weight.ravel() > 0
  steps = [row * width + column for row, column in _NEIGHBOURS]
  row, column = jnp.divmod(holes, width)
  colour = (row + column) % 2

  def look(positions: Array) -> tuple[Array, Array]:
    positions = jnp.clip(positions, 0, num - 1)
    return image[positions], is_known[positions]

  def cost(sources: Array, own: Array) -> Array:
    """Energy of the hole's pixels with the sources `own` [P]."""
    value, known = look(own)
    total = _UNARY * jnp.mean((value - average) ** 2, axis=-1)
    total = jnp.where(known, total, jnp.inf)
    for step in steps:
      neighbour = sources[holes + step]
      theirs, _ = look(neighbour)
      back, back_known = look(neighbour - step)
      ahead, ahead_known = look(own + step)
      first = jnp.mean((ahead - theirs) ** 2, axis=-1)
      second = jnp.mean((value - back) ** 2, axis=-1)
      first = jnp.where(ahead_known, first, _UNKNOWN)
      second = jnp.where(back_known, second, first)
      total += jnp.where(is_inside[holes + step], first + second, 0)
    return total

  def half_sweep(index: Array, sources: Array) -> Array:
    own = sources[holes]
    best = cost(sources, own)
    for jump in _JUMPS:
      for step in steps:
        other = sources[jnp.clip(holes + jump * step, 0, num - 1)] - jump * step
        other_cost = cost(sources, other)
        is_better = other_cost < best
        best = jnp.where(is_better, other_cost, best)
        own = jnp.where(is_better, other, own)
    new = jnp.where(colour == index % 2, own, sources[holes])
    return sources.at[holes].set(new).at[level.outside].set(level.outside)

  everywhere = jnp.arange(num, dtype=jnp.int32)
  start = everywhere.at[holes].set(field[holes]).at[level.outside].set(0)
  return jax.lax.fori_loop(0, 2 * num_sweeps, half_sweep, start)
