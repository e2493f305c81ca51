"""A source for each patch of a hole: the field of p(delta | source, target).

A field holds the position of the source patch of each target patch. A search
draws a field from the posterior over candidate sources,

  log p(s | x) = -|W (x - x_s)|^2 / (2 sigma^2) + const,

the closed-form posterior of a patch x with noise of level sigma, over a few
candidates: the present source; sources that continue those of neighbouring
patches (Barnes et al. 2009); sources near the present one; any; those at
offsets that are frequent in the picture (He & Sun 2012). W leaves out pixels
outside of the picture. At sigma = 0 the draw is the nearest candidate.

The vote makes a picture of a field: each hole pixel is the average over the
patches that cover it of what their sources have there (Wexler et al. 2007).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.editing.edge_sides import are_together
from internal_diffusion.applications.editing.fill_levels import (
  MARGIN,
  OUTSIDE,
  PATCH_SIZE,
  FillLevel,
)

Array = jax.Array

# Distances of the neighbours whose sources are continued, in pixels.
_JUMPS = (1, 3, 8)
_NEAR = 3  # Number of random candidates near the present source.
_ANYWHERE = 2  # Number of random candidates anywhere.
_FALLOFF = 1.3  # Weights of votes fall by this for each pixel into the hole.
_BREAK = 1.0
_CHUNK = 12_288 * 4  # Number of targets at a time divides this.
_BEST = 0.75  # Quantile of the distances that is the noise level of votes.


def windows(image: Array, positions: Array, *, side: int = PATCH_SIZE) -> Array:
  """Windows [N, P, P, C] of an image [H, W, C] around positions [N]."""
  row, column = jnp.divmod(positions, image.shape[1])
  size = (side, side, image.shape[2])

  def cut(row: Array, column: Array) -> Array:
    return jax.lax.dynamic_slice(image, (row, column, jnp.int32(0)), size)

  return jax.vmap(cut)(row - side // 2, column - side // 2)


def patch_weights(
  level: FillLevel, positions: Array, *, side: int = PATCH_SIZE
) -> Array:
  """Weights [N, P, P] of the pixels of patches around positions [N].

  They are 1 inside the picture, but for pixels that an edge separates from the
  patch's centre.
  """
  found = windows(level.weight[..., None], positions, side=side)[..., 0]
  sides = windows(level.sides[..., None], positions, side=side)[..., 0]
  own = level.sides.ravel()[positions]
  return found * are_together(own[:, None, None], sides)


def _distances(
  image: Array, patches: Array, weights: Array, sources: Array
) -> Array:
  """Mean squared differences [N] of patches and sources by weights.

  Args:
    image: Picture of the sources, [H, W, C].
    patches: [N, P, P, C].
    weights: Weight of each pixel of a patch, [N, P, P].
    sources: Positions of source patches, [N].
  """
  squares = jnp.mean((patches - windows(image, sources)) ** 2, axis=-1)
  total = jnp.sum(weights * squares, axis=(1, 2))
  return total / jnp.maximum(jnp.sum(weights, axis=(1, 2)), 1e-6)


def search(
  key: Array, level: FillLevel, picture: Array, field: Array, sigma: Array
) -> tuple[Array, Array]:
  """Draws a source for each target from the posterior over candidates.

  Args:
    key: One key.
    level: Level of the pyramid.
    picture: Present picture, [H, W, C].
    field: Present sources, [H * W].
    sigma: Noise level of a patch, scalar; 0 takes the nearest candidate.

  Returns:
    The new sources [H * W], and the squared distance of each patch to its
    source, infinite where there is no target, [H * W].
  """

  def chunk(given: tuple[Array, Array]) -> tuple[Array, Array]:
    return _search_chunk(given[0], level, picture, field, sigma, given[1])

  num = len(level.targets)
  targets = level.targets.reshape(-1, math.gcd(num, _CHUNK))
  keys = jax.random.split(key, len(targets))
  source, distance = jax.lax.map(chunk, (keys, targets))
  field = field.at[level.targets].set(source.ravel())
  distances = jnp.full(field.shape, jnp.inf)
  distances = distances.at[level.targets].set(distance.ravel())
  return field, distances.at[OUTSIDE].set(jnp.inf)


def _search_chunk(
  key: Array,
  level: FillLevel,
  picture: Array,
  field: Array,
  sigma: Array,
  targets: Array,
) -> tuple[Array, Array]:
  """Sources and squared distances of some targets, [N]."""
  patches = windows(picture, targets)
  weights = patch_weights(level, targets)
  candidate_key, noise_key = jax.random.split(key)
  candidates = _candidates(candidate_key, level, field, targets)
  width, num = level.size[1], field.shape[0]
  steps = [1, -1, width, -width]
  continued = jnp.stack(
    [field[jnp.clip(targets + step, 0, num - 1)] - step for step in steps]
  )
  # A distance is a mean over the values of a patch, in units of 2 sigma^2.
  num_values = jnp.sum(weights, axis=(1, 2)) * picture.shape[-1]
  factor = 2 * sigma**2 / jnp.maximum(num_values, 1)

  def compare(
    index: Array, best: tuple[Array, Array, Array]
  ) -> tuple[Array, Array, Array]:
    other = candidates[index]
    distance = _distances(level.image, patches, weights, other)
    own_key = jax.random.fold_in(noise_key, index)
    breaks = jnp.mean((continued != other[None]).astype(jnp.float32), axis=0)
    score = distance * (1 + _BREAK * breaks) - factor * jax.random.gumbel(
      own_key, targets.shape
    )
    is_better = level.is_source[other] & (score < best[0])
    new = (score, other, distance)
    return jax.tree.map(lambda a, b: jnp.where(is_better, a, b), new, best)

  nothing = jnp.full(len(targets), jnp.inf)
  start = (nothing, field[targets], nothing)
  _, source, distance = jax.lax.fori_loop(0, len(candidates), compare, start)
  return source, distance


def _candidates(
  key: Array, level: FillLevel, field: Array, targets: Array
) -> Array:
  """Candidate sources [K, N] of targets [N]; not all of them are sources."""
  num, width = field.shape[0], level.size[1]
  own = field[targets]
  found = [own]
  for jump in _JUMPS:
    for row, column in ((0, 1), (0, -1), (1, 0), (-1, 0)):
      step = (row * width + column) * jump
      found.append(field[jnp.clip(targets + step, 0, num - 1)] - step)
  near_key, far_key = jax.random.split(key)
  near = jax.random.uniform(near_key, (_NEAR, 2, len(targets)), minval=-1)
  for index in range(_NEAR):
    reach = max(level.size) / 4 ** (index + 1)
    row, column = jnp.round(reach * near[index]).astype(jnp.int32)
    found.append(own + row * width + column)
  drawn = jax.random.randint(
    far_key, (_ANYWHERE, len(targets)), 0, level.num_sources
  )
  every = jnp.concatenate([jnp.stack(found), level.sources[drawn]])
  return jnp.clip(every, 0, num - 1)


def mean_distances(level: FillLevel, picture: Array, field: Array) -> Array:
  """Mean squared distances of target patches of a picture to sources, [2].

  The first is that of all patches, the second that of those whose centre is at
  most half of a patch from known pixels.
  """

  def chunk(targets: Array) -> Array:
    weights = patch_weights(level, targets)
    patches = windows(picture, targets)
    distance = _distances(level.image, patches, weights, field[targets])
    is_one = (targets != OUTSIDE) & level.is_source[field[targets]]
    joins = is_one & (level.depth[targets] <= PATCH_SIZE // 2)
    counted = jnp.stack([is_one, joins])
    return jnp.stack(
      [jnp.sum(jnp.where(counted, distance, 0), axis=1), counted.sum(axis=1)]
    )

  num = len(level.targets)
  targets = level.targets.reshape(-1, math.gcd(num, _CHUNK))
  total, count = jnp.sum(jax.lax.map(chunk, targets), axis=0)
  return total / jnp.maximum(count, 1)


def vote(
  level: FillLevel, field: Array, distance: Array, picture: Array
) -> Array:
  """The picture [H, W, C] of a field: averages over what sources have.

  A patch has the weight exp(-d / (2 s^2)), with d its squared distance to its
  source and s^2 the 75% quantile of all d, times a falloff with the distance to
  known pixels.

  Args:
    level: Level of the pyramid.
    field: Sources of the targets, [H * W].
    distance: Squared distances of the targets, infinite elsewhere, [H * W].
    picture: Picture whose hole pixels are replaced, [H, W, C].
  """
  width, num_channels = level.size[1], picture.shape[-1]
  of_targets = distance[level.targets]
  finite = jnp.where(jnp.isfinite(of_targets), of_targets, jnp.nan)
  noise = jnp.maximum(jnp.nanquantile(finite, _BEST), 1e-6)
  weight = jnp.exp(-distance / (2 * noise)) * _FALLOFF ** (-level.depth)
  weight = jnp.where(jnp.isfinite(distance), jnp.maximum(weight, 1e-20), 0)
  image = level.image.reshape(-1, num_channels)
  sides = level.sides.ravel()
  row, column = np.indices((PATCH_SIZE, PATCH_SIZE)).reshape(2, -1)
  row, column = row - PATCH_SIZE // 2, column - PATCH_SIZE // 2
  steps = jnp.asarray(row * width + column, jnp.int32)

  def body(index: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
    step = steps[index]
    centre = level.holes - step
    is_seen = are_together(sides[centre], sides[level.holes])
    own = (weight[centre] * is_seen)[:, None]
    return total[0] + own * image[field[centre] + step], total[1] + own

  num = len(level.holes)
  total, weights = jax.lax.fori_loop(
    0,
    PATCH_SIZE**2,
    body,
    (jnp.zeros((num, num_channels)), jnp.zeros((num, 1))),
  )
  flat = picture.reshape(-1, num_channels)
  flat = flat.at[level.holes].set(total / jnp.maximum(weights, 1e-30))
  return flat.at[OUTSIDE].set(0).reshape(picture.shape)


@jax.jit
def finer_field(coarse: FillLevel, fine: FillLevel, field: Array) -> Array:
  """The field of the next finer level, with the same offsets in the picture.

  Pixels that are not of the hole are their own sources.
  """
  row, column = jnp.divmod(fine.holes, fine.size[1])
  parent_row = (row - MARGIN) // 2 + MARGIN
  parent_column = (column - MARGIN) // 2 + MARGIN
  source = field[parent_row * coarse.size[1] + parent_column]
  source_row, source_column = jnp.divmod(source, coarse.size[1])
  found_row = 2 * (source_row - MARGIN) + MARGIN + (row - MARGIN) % 2
  found_column = 2 * (source_column - MARGIN) + MARGIN + (column - MARGIN) % 2
  found = found_row * fine.size[1] + found_column
  num = fine.depth.shape[0]
  found = jnp.clip(found, 0, num - 1).astype(jnp.int32)
  own = jnp.arange(num, dtype=jnp.int32).at[fine.holes].set(found)
  return own.at[OUTSIDE].set(OUTSIDE)
