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

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.editing.fill_levels import (
  MARGIN,
  PATCH_SIZE,
  FillLevel,
)

Array = jax.Array

# Distances of the neighbours whose sources are continued, in pixels.
_JUMPS = (1, 3, 8)
_NEAR = 3  # Number of random candidates near the present source.
_ANYWHERE = 2  # Number of random candidates anywhere.
_FALLOFF = 1.3  # Weights of votes fall by this for each pixel into the hole.
_BEST = 0.75  # Quantile of the distances that is the noise level of votes.


def windows(image: Array, positions: Array) -> Array:
  """Windows [N, P, P, C] of an image [H, W, C] around positions [N]."""
  row, column = jnp.divmod(positions, image.shape[1])
  size = (PATCH_SIZE, PATCH_SIZE, image.shape[2])

  def cut(row: Array, column: Array) -> Array:
    return jax.lax.dynamic_slice(image, (row, column, jnp.int32(0)), size)

  return jax.vmap(cut)(row - MARGIN, column - MARGIN)


def distances(
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


@functools.partial(jax.jit, static_argnames='jumps')
def search(
  key: Array,
  level: FillLevel,
  picture: Array,
  field: Array,
  sigma: Array,
  offsets: Array,
  *,
  jumps: tuple[int, ...] = _JUMPS,
) -> tuple[Array, Array]:
  """Draws a source for each target from the posterior over candidates.

  Args:
    key: One key.
    level: Level of the pyramid.
    picture: Present picture, [H, W, C].
    field: Present field, [H * W].
    sigma: Noise level of a patch, scalar; 0 takes the nearest candidate.
    offsets: Offsets of further candidates, flat, [K].
    jumps: See `_JUMPS`.

  Returns:
    The new field [H * W], and the distance of each patch to its source,
    infinite where there is no target, [H * W].
  """
  targets = level.targets
  patches = windows(picture, targets)
  weights = windows(level.weight[..., None], targets)[..., 0]
  candidates = _candidates(key, level, field, offsets, jumps)
  noise_key = jax.random.fold_in(key, 1)
  # A distance of all values of a patch, in units of 2 sigma^2.
  scale = jnp.sum(weights, axis=(1, 2)) * picture.shape[-1]
  factor = 2 * sigma**2 / jnp.maximum(scale, 1)

  def body(
    index: Array, best: tuple[Array, Array, Array]
  ) -> tuple[Array, Array, Array]:
    score, source, distance = best
    other = candidates[index]
    other_distance = distances(level.image, patches, weights, other)
    noise = jax.random.gumbel(
      jax.random.fold_in(noise_key, index), (len(targets),)
    )
    other_score = other_distance - factor * noise
    is_better = level.is_source[other] & (other_score < score)
    return (
      jnp.where(is_better, other_score, score),
      jnp.where(is_better, other, source),
      jnp.where(is_better, other_distance, distance),
    )

  nothing = jnp.full(len(targets), jnp.inf)
  start = (nothing, field[targets], nothing)
  _, source, distance = jax.lax.fori_loop(0, len(candidates), body, start)
  everywhere = jnp.full(field.shape, jnp.inf)
  return (
    field.at[targets].set(source),
    everywhere.at[targets].set(distance).at[level.outside].set(jnp.inf),
  )


def _candidates(
  key: Array,
  level: FillLevel,
  field: Array,
  offsets: Array,
  jumps: tuple[int, ...],
) -> Array:
  """Candidate sources [K, N] of the targets; not all of them are sources."""
  targets, num = level.targets, field.shape[0]
  width = level.size[1]
  own = field[targets]
  steps = [
    (row * width + column) * jump
    for jump in jumps
    for row, column in ((0, 1), (0, -1), (1, 0), (-1, 0))
  ]
  found = [own]
  for step in steps:
    neighbour = jnp.clip(targets + step, 0, num - 1)
    found.append(field[neighbour] - step)
  near_key, far_key = jax.random.split(jax.random.fold_in(key, 0))
  for index in range(_NEAR):
    reach = max(level.size) / 4 ** (index + 1)
    moved = jax.random.uniform(
      jax.random.fold_in(near_key, index),
      (2, len(targets)),
      minval=-reach,
      maxval=reach,
    )
    row, column = jnp.round(moved).astype(jnp.int32)
    found.append(own + row * width + column)
  drawn = jax.random.randint(
    far_key, (_ANYWHERE, len(targets)), 0, level.num_sources
  )
  found = jnp.concatenate(
    [
      jnp.stack(found),
      level.sources[drawn],
      targets[None] + offsets[:, None],
    ]
  )
  return jnp.clip(found, 0, num - 1)


@jax.jit
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
  steps = np.indices((PATCH_SIZE, PATCH_SIZE)).reshape(2, -1) - MARGIN
  steps = jnp.asarray(steps[0] * width + steps[1], jnp.int32)

  def body(
    index: Array, total: tuple[Array, Array]
  ) -> tuple[Array, Array]:
    step = steps[index]
    centre = level.holes - step
    own = weight[centre][:, None]
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
  return flat.at[level.outside].set(0).reshape(picture.shape)


@jax.jit
def finer_field(coarse: FillLevel, fine: FillLevel, field: Array) -> Array:
  """The field of the next finer level, with the same offsets in the picture."""
  row, column = jnp.divmod(jnp.arange(fine.image[..., 0].size), fine.size[1])
  source = jnp.zeros((), jnp.int32)
  parent_row = (row - MARGIN) // 2 + MARGIN
  parent_column = (column - MARGIN) // 2 + MARGIN
  parent = jnp.clip(
    parent_row * coarse.size[1] + parent_column, 0, len(field) - 1
  )
  source_row, source_column = jnp.divmod(field[parent], coarse.size[1])
  found_row = 2 * (source_row - MARGIN) + MARGIN + (row - MARGIN) % 2
  found_column = (
    2 * (source_column - MARGIN) + MARGIN + (column - MARGIN) % 2
  )
  source = found_row * fine.size[1] + found_column
  return jnp.clip(source, 0, len(source) - 1).astype(jnp.int32)


@jax.jit
def search_all(
  key: Array, level: FillLevel, picture: Array, sigma: Array
) -> tuple[Array, Array]:
  """The draw of `search` over all sources, for small levels."""
  targets, dim = level.targets, picture.shape[-1]
  patches = windows(picture, targets)
  weights = windows(level.weight[..., None], targets)
  bank = windows(level.image, level.sources)
  weighted = (weights * patches).reshape(len(targets), -1)
  squares = jnp.sum(bank**2, axis=-1).reshape(len(bank), -1)
  products = weighted @ bank.reshape(len(bank), -1).T
  total = weights.reshape(len(targets), -1) @ squares.T - 2 * products
  count = jnp.maximum(jnp.sum(weights, axis=(1, 2, 3)), 1e-6) * dim
  is_one = jnp.arange(len(bank)) < level.num_sources
  noise = jax.random.gumbel(key, total.shape)
  score = jnp.where(is_one[None], total - 2 * sigma**2 * noise, jnp.inf)
  chosen = arrays.index_of_largest(-score)
  source = level.sources[chosen]
  distance = distances(level.image, patches, weights[..., 0], source)
  field = jnp.zeros(level.depth.shape, jnp.int32).at[targets].set(source)
  everywhere = jnp.full(field.shape, jnp.inf)
  return (
    field,
    everywhere.at[targets].set(distance).at[level.outside].set(jnp.inf),
  )
