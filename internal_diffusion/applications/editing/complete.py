"""Fills of a hole, from the coarsest level of the pyramid to the finest."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.editing import patch_sources
from internal_diffusion.applications.editing.fill_levels import FillLevel
from internal_diffusion.applications.editing.first_field import (
  draw_first_fields,
)

Array = jax.Array

NUM_STARTS = 16
COARSE_SIGMAS = (0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.0, 0.0)
FINE_STEPS = 4


def energy(distance, level):
  own = distance[level.targets]
  ok = jnp.isfinite(own)
  return jnp.sum(jnp.where(ok, own, 0)) / jnp.sum(ok)


def complete(key, levels, num):
  keys = jax.random.split(key, 3)
  level = levels[-1]
  _, pictures = draw_first_fields(keys[0], level, num=NUM_STARTS)
  starts = pictures
  found = []
  for index in range(NUM_STARTS):
    picture = pictures[index]
    for step, sigma in enumerate(COARSE_SIGMAS):
      own = jax.random.fold_in(jax.random.fold_in(keys[1], index), step)
      field, distance = patch_sources.search_all(
        own, level, picture, np.float32(sigma)
      )
      picture = patch_sources.vote(level, field, distance, picture)
    found.append((float(energy(distance, level)), field, distance, picture))
  order = np.argsort([f[0] for f in found])
  found = [found[i] for i in order]
  trace = [(starts, found)]
  found = found[:num]
  for depth in range(len(levels) - 2, -1, -1):
    coarse, level = levels[depth + 1], levels[depth]
    new = []
    for index, (_, field, distance, _) in enumerate(found):
      field = patch_sources.finer_field(coarse, level, field)
      distance = jnp.full(field.shape, jnp.inf).at[level.targets].set(0.0).at[0].set(jnp.inf)
      picture = patch_sources.vote(level, field, distance, level.image)
      for step in range(FINE_STEPS):
        own = jax.random.fold_in(jax.random.fold_in(keys[2], index * 100 + depth), step)
        field, distance = patch_sources.search(
          own, level, picture, field, np.float32(0), jnp.zeros(1, jnp.int32)
        )
        picture = patch_sources.vote(level, field, distance, picture)
      new.append((float(energy(distance, level)), field, distance, picture))
    found = new
    trace.append((None, found))
  return found, trace
