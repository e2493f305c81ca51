"""Fills of a hole, from a coarse level of the pyramid to the finest.

Edges that surely go on through the hole are continued first, as curves
(`continued_edges`); patches fill the rest.

A fill at one level is a source for each pixel. A step takes the picture that
the sources make, draws a source for each patch from the posterior at a noise
level sigma, and averages the patches; after the steps, which end at sigma = 0,
seams are placed and pixels are copied again, so a fill is as sharp as the
picture. Distances compare how rough the picture is, too, so that averages do
not lead to smooth places. More fills are drawn than asked for, and those are
kept whose patches are nearest to patches of the picture, in the hole and around
its border. The answers are ordered by how well they join at the border.
"""

import dataclasses

import jax
import numpy as np

from internal_diffusion.applications.editing import patch_sources
from internal_diffusion.applications.editing.blend import blend
from internal_diffusion.applications.editing.continued_edges import (
  continue_edges,
)
from internal_diffusion.applications.editing.fill_levels import (
  MARGIN,
  FillLevel,
  make_levels,
)
from internal_diffusion.applications.editing.first_field import (
  draw_first_sources,
)
from internal_diffusion.applications.editing.pixel_sources import place_seams
from internal_diffusion.applications.editing.roughness import roughness

Array = jax.Array

_NUM_STARTS = 12  # Number of fills that are drawn at first, at least.
_MAX_HOLES = 3072  # Number of hole pixels at the first level, at most.
# With few sources, patches are large parts of the picture, and whole objects
# are repeated; a finer level is then taken, with more hole pixels.
_ENOUGH_SOURCES, _MOST_HOLES = 1000, 16_384
_ROUGHNESS = 4.0  # Weight of roughness in distances, beside that of values.
_FIRST_SIGMAS = (0.0,) * 8
_LATER_SIGMAS = (0.0,) * 4


def complete(
  key: Array, image: np.ndarray, mask: np.ndarray, *, num_samples: int
) -> np.ndarray:
  """Fills the hole of a picture.

  Args:
    key: One key.
    image: [H, W, C].
    mask: True at hole pixels, [H, W].
    num_samples: Number K of fills.

  Returns:
    [K, H, W, C], those that join best first.

  Raises:
    ValueError: If no whole patch is known.
  """
  num_channels = image.shape[-1]
  image, is_edge, sides = continue_edges(image, mask)
  hole = mask & ~is_edge
  if not hole.any():
    return np.repeat(image[None], num_samples, axis=0)
  rough = _ROUGHNESS * roughness(image, ~hole)
  both = np.concatenate([image, rough], axis=-1)
  levels = make_levels(both, hole, given=~mask, sides=sides)
  first = _first_level(levels)
  start_key, *keys = jax.random.split(key, 2 + first)
  sources = _draw_and_choose(start_key, levels[first], num=num_samples)
  for index in range(first - 1, -1, -1):
    coarse, level = levels[index + 1], levels[index]
    finer = [patch_sources.finer_field(coarse, level, one) for one in sources]
    own = jax.random.split(keys[index], num_samples)
    sources, distances = _improve(
      own, level, np.stack(finer), np.array(_LATER_SIGMAS, np.float32)
    )
    sources = _nearest_first(sources, distances[:, 1])
  rows, columns = (slice(MARGIN, MARGIN + side) for side in mask.shape)
  values = levels[0].image[..., :num_channels]
  finest = dataclasses.replace(levels[0], image=values)
  filled = [blend(finest, np.asarray(one)) for one in sources]
  return np.stack([picture[rows, columns] for picture in filled])


def _first_level(levels: list[FillLevel]) -> int:
  """The finest level with few hole pixels, or a finer one with more sources."""
  few = [bool(level.num_holes <= _MAX_HOLES) for level in levels]
  index = few.index(True) if any(few) else len(levels) - 1
  while (
    index
    and levels[index].num_first_sources[0] < _ENOUGH_SOURCES
    and levels[index - 1].num_holes <= _MOST_HOLES
  ):
    index -= 1
  return index


def _draw_and_choose(key: Array, level: FillLevel, *, num: int) -> np.ndarray:
  """The best of several first fills, [num, H * W]."""
  num_starts = max(_NUM_STARTS, 2 * num)  # Even, for two sides of patches.
  keys = jax.random.split(key, 2)
  sources = draw_first_sources(keys[0], level, num=num_starts)
  sources, distances = _improve(
    jax.random.split(keys[1], num_starts),
    level,
    sources,
    np.array(_FIRST_SIGMAS, np.float32),
  )
  return _nearest_first(sources, distances.sum(axis=1))[:num]


def _nearest_first(sources: Array, distance: Array) -> np.ndarray:
  """Fills in the order of their distances to patches of the picture."""
  order = np.argsort(np.asarray(distance), kind='stable')
  return np.asarray(sources)[order]


@jax.jit
def _improve(
  keys: Array, level: FillLevel, sources: Array, sigmas: Array
) -> tuple[Array, Array]:
  """Better fills, [B, H * W], and their `mean_distances`, [B, 2]."""

  def one(given: tuple[Array, Array]) -> tuple[Array, Array]:
    key, sources = given

    def step(index: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
      field, picture = state
      field, distance = patch_sources.search(
        jax.random.fold_in(key, index), level, picture, field, sigmas[index]
      )
      return field, patch_sources.vote(level, field, distance, picture)

    start = (sources, _copy(level, sources))
    field, picture = jax.lax.fori_loop(0, len(sigmas), step, start)
    sources = place_seams(level, field, picture)
    mean = patch_sources.mean_distances(level, _copy(level, sources), field)
    return sources, mean

  return jax.lax.map(one, (keys, sources))


def _copy(level: FillLevel, sources: Array) -> Array:
  """The picture [H, W, C] of sources [H * W]."""
  flat = level.image.reshape(len(sources), -1)
  return flat[sources].reshape(level.image.shape)
