import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers import window_search
from internal_diffusion.denoisers.window_search import (
  find_similar,
  find_similar_to,
)

SIDE, SIZE = 3, (20, 22)
GUIDE = jnp.float32(np.random.default_rng(0).normal(size=(*SIZE, 1)))
SIMILAR = np.asarray(find_similar(GUIDE, patch_size=SIDE, stride=2))


def patch_at(index):
  row, column = divmod(int(index), SIZE[1])
  return np.asarray(GUIDE)[row : row + SIDE, column : column + SIDE]


def test_window_search_are_the_nearest_ones_of_the_window():
  every = [
    row * SIZE[1] + column
    for row in range(SIZE[0] - SIDE + 1)
    for column in range(SIZE[1] - SIDE + 1)
  ]
  places = np.stack(np.divmod(every, SIZE[1]), axis=-1)
  for similar in SIMILAR[[0, 37, -1]]:
    place = np.array(divmod(int(similar[0]), SIZE[1]))
    near = np.abs(places - place).max(axis=-1) <= window_search._RADIUS
    own = patch_at(similar[0])
    distances = sorted(
      np.sum((patch_at(every[n]) - own) ** 2) for n in np.flatnonzero(near)
    )
    found = [np.sum((patch_at(index) - own) ** 2) for index in similar]
    np.testing.assert_allclose(found, distances[: len(found)], atol=1e-4)
    assert len(np.unique(similar)) == len(similar)


def test_references_cover_the_picture():
  covered = np.zeros(SIZE, bool)
  for index in SIMILAR[:, 0]:
    row, column = divmod(int(index), SIZE[1])
    covered[row : row + SIDE, column : column + SIDE] = True
  assert covered.all()


def test_patches_one_by_one_have_the_same_similar_ones():
  chosen = SIMILAR[[0, 5, 37, -1]]
  found = find_similar_to(GUIDE, jnp.asarray(chosen[:, 0]), patch_size=SIDE)
  np.testing.assert_array_equal(found, chosen)
