import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.restoration import estimate
from internal_diffusion.sampling.constraints import MirrorSymmetry

SIZE = (40, 60, 1)
SCENE = jnp.zeros(SIZE)


def test_samples_are_as_far_from_the_mean_as_expected():
  distance = jax.random.normal(jax.random.key(0), SIZE)
  # Nearly certain above, and less certain than the sample below.
  std = jnp.where(jnp.arange(40)[:, None, None] < 20, 0.1, 3) + 0 * SCENE
  found = np.asarray(estimate._rescale(distance, std, jnp.float32(1)))
  np.testing.assert_allclose(found[-10:], distance[-10:], rtol=1e-5)
  assert abs(np.std(found[:10]) - 0.1) < 0.02
  found = np.asarray(estimate._rescale(distance, std, jnp.float32(2)))
  np.testing.assert_allclose(found[-10:], 2 * distance[-10:], rtol=1e-5)
  assert abs(np.std(found[:10]) - 0.1) < 0.02


def test_the_picture_is_the_inner_part_of_the_scene():
  problem = estimate.Problem(SCENE, MirrorSymmetry(axis=1), (3, 0))
  assert problem.crop(SCENE).shape == (34, 60, 1)
  inside = estimate.Problem(SCENE, MirrorSymmetry(axis=1), (3, 4))
  assert inside.crop(jnp.zeros((2, *SIZE))).shape == (2, 34, 52, 1)
