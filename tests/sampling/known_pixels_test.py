import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.sampling import known_pixels
from internal_diffusion.sampling.samplers import sample_euler

KEY = jax.random.key(0)


def values(*shape):
  return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize('shape', [(6, 7, 3), (4, 6, 7, 1)])
def test_known_pixels_stay_bit_for_bit(shape):
  image = values(*shape)
  known = values(*shape[:-1]) > 0
  constraint = known_pixels.make_known_pixels(known, image)
  x = jnp.zeros((2, *shape))
  held = np.asarray(constraint.project(KEY, x, x, jnp.float32(1)))
  np.testing.assert_array_equal(held[:, known], [image[known]] * 2)
  assert not held[:, ~known].any()


def test_a_sample_has_the_known_frames():
  clip = values(4, 4, 4, 1)
  known = np.zeros(clip.shape[:-1], bool)
  known[::2] = True
  found = sample_euler(
    KEY,
    lambda x, sigma: x / (1 + sigma**2),
    jax.random.normal(KEY, (1, *clip.shape)),
    jnp.float32([1.0, 0.5, 0.0]),
    constraints=[known_pixels.make_known_pixels(known, clip)],
  )
  np.testing.assert_allclose(found[0, ::2], clip[::2], atol=1e-6)


def test_a_coarser_level_knows_the_means_of_known_pixels():
  clip = np.repeat(values(4, 1, 1, 1), 8, axis=1).repeat(8, axis=2)
  known = np.ones(clip.shape[:-1], bool)
  known[:, :, 4:] = False
  constraint = known_pixels.make_known_pixels(known, clip).at_size((4, 4, 4))
  assert constraint.known.shape == (4, 4, 4, 1)
  found = np.asarray(constraint.known)[..., 0]
  assert found[:, :, :2].all()
  assert not found[:, :, 2:].any()
  np.testing.assert_allclose(
    constraint.values[:, :, :2], clip[:, ::2, :4:2], atol=1e-5
  )


def test_bad_arguments():
  with pytest.raises(ValueError, match='`known` must be booleans'):
    known_pixels.make_known_pixels(np.ones((2, 2)), values(2, 2, 1))
  with pytest.raises(ValueError, match='`known` must be booleans'):
    known_pixels.make_known_pixels(np.ones((2, 3), bool), values(2, 2, 1))
