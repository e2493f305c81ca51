import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers import masked_groups
from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.denoisers.masked_groups import (
  find_similar,
  make_masked_groups,
)

SIDE, SIZE = 3, (20, 22)
RNG = np.random.default_rng(0)
GUIDE = jnp.float32(RNG.normal(size=(*SIZE, 1)))
SIMILAR = np.asarray(find_similar(GUIDE, patch_size=SIDE, stride=2))
MIXTURE = GuidedMixture(
  jnp.zeros(1), jnp.zeros((1, SIDE**2)), jnp.eye(SIDE**2)[None]
)


def patch_at(index):
  row, column = divmod(int(index), SIZE[1])
  return np.asarray(GUIDE)[row : row + SIDE, column : column + SIDE]


def test_similar_patches_are_the_nearest_ones_of_the_window():
  every = [
    row * SIZE[1] + column
    for row in range(SIZE[0] - SIDE + 1)
    for column in range(SIZE[1] - SIDE + 1)
  ]
  places = np.stack(np.divmod(every, SIZE[1]), axis=-1)
  for similar in SIMILAR[[0, 37, -1]]:
    place = np.array(divmod(int(similar[0]), SIZE[1]))
    near = np.abs(places - place).max(axis=-1) <= masked_groups._RADIUS
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


def groups(precision, **options):
  return make_masked_groups(
    GUIDE, MIXTURE, GUIDE, precision, patch_size=SIDE, stride=2, **options
  )


def test_exact_pixels_are_kept_and_certain():
  mean, variance = groups(jnp.full_like(GUIDE, 1e6)).posterior()
  np.testing.assert_allclose(mean, GUIDE, atol=1e-2)
  # The precision is bounded: 1e-4 of a patch's total variance remains.
  assert float(variance.max()) < 1e-3


def test_a_state_is_one_more_observation():
  # Nothing was observed, but the state has the noise that observations had.
  model = groups(jnp.zeros_like(GUIDE))
  found = model(GUIDE[None], jnp.float32(0.5))[0]
  wanted, _ = groups(jnp.full_like(GUIDE, 4.0)).posterior()
  np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_hidden_variance_makes_less_certain():
  precision = jnp.full_like(GUIDE, 4.0)
  _, less = groups(precision).posterior()
  _, more = groups(precision, hidden_share=1.0).posterior()
  assert float(jnp.min(more - less)) >= 0
  assert float(jnp.mean(more)) > 1.05 * float(jnp.mean(less))
