import jax
import numpy as np
import pytest

from internal_diffusion.training import examples as examples_lib
from internal_diffusion.training import loop, setup
from internal_diffusion.training.fit import fit, fit_task


def test_is_what_training_in_a_folder_is(image, config, tmp_path):
  in_memory = fit(examples_lib.from_image(image, config), config)
  in_folder = loop.train(image, config, tmp_path, progress=False)
  for a, b in zip(
    jax.tree.leaves(in_memory.params),
    jax.tree.leaves(in_folder.params),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_is_watched_after_every_call(image, config):
  steps, models = [], []

  def watch(step, model):
    steps.append(step)
    models.append(jax.tree.map(np.asarray, model.params))

  config.num_steps = 12
  last = fit(examples_lib.from_image(image, config), config, watch_fn=watch)
  assert steps == [5, 10, 12]
  for a, b in zip(
    jax.tree.leaves(models[-1]), jax.tree.leaves(last.params), strict=True
  ):
    np.testing.assert_array_equal(a, b)


def test_what_refreshes_the_data_is_drawn_from_next(config):
  config.num_steps = 15
  first, second = (
    examples_lib.from_points(np.array(points, np.float32))
    for points in ([[1.0], [2.0]], [[3.0], [4.0]])
  )
  shares = []

  def params_with(new_data):
    def refresh(share, params):
      del params
      shares.append(share)
      return new_data

    return fit_task(setup.make_run(first, config), config, refresh_fn=refresh)

  kept, refreshed = params_with(None), params_with(second.data)
  np.testing.assert_allclose(shares, 2 * [1 / 3, 2 / 3])
  same = [
    np.array_equal(a, b)
    for a, b in zip(
      jax.tree.leaves(kept.network),
      jax.tree.leaves(refreshed.network),
      strict=True,
    )
  ]
  assert not all(same)


def test_a_loss_that_is_not_finite_stops_it(config):
  config.optimizer.learning_rate = 1e30
  config.optimizer.clip_norm = 0.0
  x0 = np.array([[1.0], [2.0]], np.float32)
  with pytest.raises(FloatingPointError, match='not finite at step'):
    fit(examples_lib.from_points(x0), config)


def test_points_and_conditions_must_be_as_many():
  with pytest.raises(ValueError, match=r'\[3, K\].*\(2, 1\)'):
    examples_lib.from_points(np.ones((3, 2)), conditions=np.ones((2, 1)))
