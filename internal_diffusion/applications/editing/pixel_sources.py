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

import jax
import jax.numpy as jnp

from internal_diffusion.applications.editing.fill_levels import (
  OUTSIDE,
  FillLevel,
)

Array = jax.Array

_SWEEPS = 8
_UNARY = 0.1  # Weight a.
_UNKNOWN = 1.0  # Cost of a neighbour of the source that is not known.
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_JUMPS = (1, 2, 4)


def place_seams(
  level: FillLevel,
  field: Array,
  picture: Array,
) -> Array:
  """The sources of the pixels.

  Args:
    level: Level of the pyramid.
    field: Sources of the target patches, [H * W].
    picture: Average x of the patches, [H, W, C].

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
  steps = jnp.array([row * width + column for row, column in _NEIGHBOURS])
  moves = jnp.concatenate(
    [jnp.zeros(1, jnp.int32), *(j * steps for j in _JUMPS)]
  )
  row, column = jnp.divmod(holes, width)
  colour = (row + column) % 2

  def look(positions: Array) -> tuple[Array, Array]:
    positions = jnp.clip(positions, 0, num - 1)
    return image[positions], is_known[positions]

  def cost(sources: Array, own: Array) -> Array:
    """Energy of the hole's pixels if they had the sources `own` [P]."""
    value, known = look(own)
    total = _UNARY * jnp.mean((value - average) ** 2, axis=-1)

    def add(index: Array, total: Array) -> Array:
      step = steps[index]
      neighbour = sources[holes + step]
      theirs, _ = look(neighbour)
      back, back_known = look(neighbour - step)
      ahead, ahead_known = look(own + step)
      first = jnp.mean((ahead - theirs) ** 2, axis=-1)
      second = jnp.mean((value - back) ** 2, axis=-1)
      first = jnp.where(ahead_known, first, _UNKNOWN)
      second = jnp.where(back_known, second, first)
      return total + jnp.where(is_inside[holes + step], first + second, 0)

    total = jnp.where(known, total, jnp.inf)
    return jax.lax.fori_loop(0, len(_NEIGHBOURS), add, total)

  def half_sweep(index: Array, sources: Array) -> Array:
    own = sources[holes]

    def compare(move: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
      step = moves[move]
      other = sources[jnp.clip(holes + step, 0, num - 1)] - step
      other_cost = cost(sources, other)
      is_better = other_cost < best[0]
      new = (other_cost, other)
      return jax.tree.map(lambda a, b: jnp.where(is_better, a, b), new, best)

    # The first move is none: a pixel's own source.
    nothing = (jnp.full(len(holes), jnp.inf), own)
    _, own = jax.lax.fori_loop(0, len(moves), compare, nothing)
    new = jnp.where(colour == index % 2, own, sources[holes])
    return sources.at[holes].set(new).at[OUTSIDE].set(OUTSIDE)

  everywhere = jnp.arange(num, dtype=jnp.int32)
  start = everywhere.at[holes].set(field[holes]).at[OUTSIDE].set(0)
  return jax.lax.fori_loop(0, 2 * _SWEEPS, half_sweep, start)
