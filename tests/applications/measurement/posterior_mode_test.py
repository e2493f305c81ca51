"""The second start of a measurement whose first one was wrong."""

import numpy as np

from internal_diffusion.applications.measurement import (
  correlation,
  frames,
  posterior_mode,
  refine,
)
from internal_diffusion.applications.measurement.pseudo_pairs import (
  particle_centres,
)
from internal_diffusion.applications.measurement.smooth_field import SplineGrid
from tests.applications.measurement.particle_images import particles, shift

SIDE = 96
WINDOWS = np.full((2, 2), 16.0)


def test_wrong_start_in_a_corner_is_replaced_by_its_surroundings(monkeypatch):
  first, second = (frame[..., 0] for frame in particles(0, shift(2.4, -1.6)))
  pair = frames.flatten_pair(first, second, None)
  grid = SplineGrid(SIDE, SIDE)
  right = correlation.find_start(pair, grid)
  y, x = np.indices((SIDE, SIDE))
  wrong = grid.field(right)
  wrong[:, (y > 72) & (x > 72)] -= 9
  start = grid.fit(wrong, np.ones((SIDE, SIDE)), window=6)
  monkeypatch.setattr(correlation, 'find_start', lambda *_: start)

  def corner(found):
    return np.abs(found.field[:, -10:, -10:] - [[[2.4]], [[-1.6]]]).max()

  rng = np.random.default_rng(0)
  assert corner(refine.refine(rng, pair, grid, start, WINDOWS)) > 2
  found = posterior_mode.find_mode(rng, pair, grid, WINDOWS)
  assert corner(found) < 0.5


def test_particle_centres_are_the_nearest_maxima():
  image = np.zeros((12, 16))
  image[4, 3], image[8, 12] = 1, 2
  centres = particle_centres(image - 0.01 * np.indices(image.shape).sum(0))
  np.testing.assert_array_equal(centres[:, 5, 4], [4, 3])
  np.testing.assert_array_equal(centres[:, 9, 11], [8, 12])
