"""A learned model that makes whole images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import cascade, generation
from internal_diffusion.configs import cascade as cascade_config
from internal_diffusion.configs import patch as patch_config
from internal_diffusion.data import pair_table
from internal_diffusion.training.examples import from_image
from internal_diffusion.training.fit import fit

SIDE = 5


def small_config():
  config = cascade_config.get_config()
  config.patch_size = SIDE
  config.pyramid.min_side = 7
  config.network.width, config.network.depth = 32, 1
  config.batch_size = config.num_references = 64
  config.num_steps, config.max_minutes = 100, 0.0
  config.steps_per_call = 50
  return config


@pytest.fixture(scope='module')
def image():
  return 2 * skimage.data.coffee()[::14, ::14].astype(np.float32) / 255 - 1


@pytest.fixture(scope='module')
def model(image):
  config = small_config()
  return fit(from_image(image, config), config)


def test_every_patch_has_the_nearest_one_a_level_coarser():
  sizes = [(29, 43), (14, 22), (7, 11)]
  table = pair_table.make_cascade_table(sizes, patch_size=SIDE, power=1.0)
  np.testing.assert_array_equal(table.levels, [(1, 0), (2, 1), (2, 2)])
  for axis, pairs in enumerate((table.rows, table.columns)):
    for index, (source, target) in enumerate(np.asarray(table.levels)):
      places = np.asarray(pairs.positions)[index, : int(pairs.num[index])]
      np.testing.assert_array_equal(
        places[:, 1], np.arange(sizes[target][axis] - SIDE + 1)
      )
      assert places[:, 0].min() == 0
      assert places[:, 0].max() == sizes[source][axis] - SIDE
      scale = sizes[source][axis] / sizes[target][axis]
      away = (places[:, 1] + SIDE / 2) * scale - (places[:, 0] + SIDE / 2)
      inside = (places[:, 0] > 0) & (places[:, 0] < places[:, 0].max())
      assert np.abs(away[inside]).max() <= 0.5
      low, high = pair_table.cascade_range(SIDE)[axis]
      assert low - 0.5 <= away.min() <= away.max() <= high + 0.5
  # The coarsest is paired with itself.
  assert (np.diff(np.asarray(table.rows.positions)[2]) == 0).all()


def test_examples_tell_the_targets_level_and_leave_the_coarsest_free(image):
  config = small_config()
  examples = from_image(image, config)
  x0, cond = examples.draw_fn(jax.random.key(0), examples.data, 500)
  levels = np.asarray(cond.level)
  assert set(levels) == {0, 1, 2}
  np.testing.assert_array_equal(np.asarray(cond.given)[:, 0], levels < 2)
  # The source of a target is like it: both see the same place.
  near = np.asarray(x0)[levels < 2].mean(axis=1)
  source = np.asarray(cond.vector)[levels < 2, :-3].mean(axis=1)
  assert np.corrcoef(near, source)[0, 1] > 0.7


def test_the_condition_in_sampling_is_that_of_training(image):
  config = small_config()
  examples = from_image(image, config)
  pyramid, table = examples.data
  height, width = image.shape[:2]
  coarse = pyramid.images[1, : pyramid.heights[1], : pyramid.widths[1]]
  place = jnp.array([[0, 0], [11, 17], [height - SIDE, width - SIDE]])
  vector, given = cascade._source_and_delta(coarse, image.shape, SIDE, place)
  assert np.asarray(given).all()
  for found, (row, column) in zip(
    np.asarray(vector), np.asarray(place), strict=True
  ):
    top, left = (
      int(axis.positions[0, at, 0])
      for axis, at in ((table.rows, row), (table.columns, column))
    )
    patch = coarse[top : top + SIDE, left : left + SIDE]
    np.testing.assert_allclose(found[:-3], np.ravel(patch), atol=1e-6)
    assert found[-1] == pytest.approx(1, abs=0.1)


def test_makes_images_of_any_size_bit_for_bit(image, model):
  image_model = cascade.make_image_model(model, image)
  made = generation.generate(jax.random.key(0), image_model, num_steps=4)
  again = generation.generate(jax.random.key(0), image_model, num_steps=4)
  assert made[-1].shape == image.shape
  assert np.isfinite(made[-1]).all()
  np.testing.assert_array_equal(made[-1], again[-1])
  tiled = generation.generate(
    jax.random.key(0), image_model, size=(24, 32), num_steps=4, tileable=True
  )
  assert tiled[-1].shape == (24, 32, 3)
  source = generation.find_sources(image_model, made[-1])
  assert source.shape == (*image.shape[:2], 2)


def test_bad_models(image, model):
  with pytest.raises(ValueError, match='channels'):
    cascade.make_image_model(model, image[..., :1])
  config = small_config()
  config.condition.dropout = 0.0
  with pytest.raises(ValueError, match='dropout'):
    from_image(image, config)
  other = patch_config.get_config()
  other.num_steps, other.max_minutes, other.network.width = 1, 0.0, 16
  other.steps_per_call = 1
  single = fit(from_image(image, other), other)
  with pytest.raises(ValueError, match=r'configs/cascade\.py'):
    cascade.make_image_model(single, image)
