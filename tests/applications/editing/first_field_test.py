import jax
import numpy as np

from internal_diffusion.applications.editing.fill_levels import make_levels
from internal_diffusion.applications.editing.first_field import (
  draw_first_sources,
)

SIZE = (40, 96)
HOLE = np.zeros(SIZE, bool)
HOLE[16:24, 82:90] = True


def test_where_all_sources_fit_near_ones_are_drawn():
  level = make_levels(
    np.zeros((*SIZE, 1), np.float32),
    HOLE,
    given=~HOLE,
    sides=np.zeros(SIZE, np.int32),
  )[0]
  found = np.asarray(draw_first_sources(jax.random.key(0), level, num=2))
  holes = np.flatnonzero((level.weight > 0) & (level.known == 0))
  sources = found[:, holes]
  width = level.size[1]
  offsets = [
    np.abs(one // width - holes // width) + np.abs(one % width - holes % width)
    for one in sources
  ]
  # Offsets of all sources are 45 pixels on the mean.
  assert np.median(offsets) < 25
  assert np.asarray(level.known).ravel()[sources].all()
