"""A learned model that makes whole images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import cascade, generation
from internal_diffusion.configs import cascade as cascade_config
from internal_diffusion.configs import patch as patch_config
from internal_diffusion.data import cascade as cascade_data
from internal_diffusion.data import patches
from internal_diffusion.training.examples import from_image, image_levels
from internal_diffusion.training.fit import fit

SIDE = 5


def small_config():
  config = cascade_config.get_config()
  config.patch_size = SIDE
  config.pyramid.min_side = 16
  config.network.width, config.network.depth = 32, 1
  config.batch_size = config.num_references = 64
  config.num_steps, config.max_minutes = 100, 0.0
  config.steps_per_call = 50
  return config


@pytest.fixture(scope='module')
def image():
  return 2 * skimage.data.coffee()[::6, ::6].astype(np.float32) / 255 - 1


@pytest.fixture(scope='module')
def model(image):
  config = small_config()
  return fit(from_image(image, config), config)


def test_examples_make_the_levels_again(image):
  config = small_config()
  examples = from_image(image, config)
  data = examples.data
  target, cond = examples.draw_fn(jax.random.key(0), data, 300)
  assert set(np.asarray(cond.level)) == {0, 1}
  # A source's centre and its target's add up to a pixel of the level.
  levels = image_levels(image, config)
  centre = 3 * (SIDE**2 // 2) + np.arange(3)
  whole = np.asarray(target + cond.vector)[:, centre]
  for level in range(2):
    pixels = np.asarray(levels[level]).reshape(-1, 3)
    found = whole[np.asarray(cond.level) == level]
    away = np.abs(found[:, None] - pixels[None]).max(-1).min(-1)
    assert away.max() < 1e-5


def test_the_sources_of_sampling_are_those_of_training(image):
  config = small_config()
  data = from_image(image, config).data
  target, source, level = cascade_data.sample_pairs(
    jax.random.key(1), data, num=200, patch_size=SIDE
  )
  residual = data.residual.images[0]
  dense = patches.extract_patches(residual, patch_size=SIDE)
  places = np.argwhere(np.ones(dense.shape[:2]))
  all_sources = cascade_data.sources_at(
    data.enlarged.images[0], jnp.asarray(places), patch_size=SIDE
  )
  dense = np.asarray(dense).reshape(len(places), -1)
  is_finest = np.asarray(level) == 0
  for one, seen in zip(
    np.asarray(target)[is_finest], np.asarray(source)[is_finest], strict=True
  ):
    index = np.abs(dense - one).max(axis=-1).argmin()
    np.testing.assert_allclose(all_sources[index], seen, atol=1e-6)


def test_sources_see_twice_as_far_and_mirror_at_borders():
  ramp = jnp.arange(12.0)[:, None, None] + jnp.zeros((1, 12, 1))
  padded = cascade_data.pad_for_sources(ramp, patch_size=SIDE)
  inner, corner = cascade_data.sources_at(
    padded, jnp.array([[4, 4], [0, 0]]), patch_size=SIDE
  ).reshape(2, SIDE, SIDE)
  # The target's centre is 2 pixels below its top: row 6, then row 2.
  np.testing.assert_array_equal(inner[:, 0], [2, 4, 6, 8, 10])
  np.testing.assert_array_equal(corner[:, 0], [1, 0, 2, 4, 6])


def test_makes_images_of_any_size_bit_for_bit(image, model):
  image_model = cascade.make_image_model(model, image)
  made = generation.generate(jax.random.key(0), image_model, num_steps=4)
  again = generation.generate(jax.random.key(0), image_model, num_steps=4)
  assert made[-1].shape == image.shape
  assert np.isfinite(made[-1]).all()
  np.testing.assert_array_equal(made[-1], again[-1])
  tiled = generation.generate(
    jax.random.key(0), image_model, size=(64, 80), num_steps=4, tileable=True
  )
  assert tiled[-1].shape == (64, 80, 3)
  source = generation.find_sources(image_model, made[-1])
  assert source.shape == (*image.shape[:2], 2)


def test_bad_models(image, model):
  with pytest.raises(ValueError, match='channels'):
    cascade.make_image_model(model, image[..., :1])
  other = patch_config.get_config()
  other.num_steps, other.max_minutes, other.network.width = 1, 0.0, 16
  other.steps_per_call = 1
  single = fit(from_image(image, other), other)
  with pytest.raises(ValueError, match=r'configs/cascade\.py'):
    cascade.make_image_model(single, image)
