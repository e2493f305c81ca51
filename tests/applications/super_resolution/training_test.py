import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import upscaler_examples
from internal_diffusion.configs import upscale
from internal_diffusion.data import upscaling_pairs
from internal_diffusion.training import regression
from internal_diffusion.training.fit import fit_task


@pytest.fixture(scope='module')
def pairs():
  # Hard edges: what is missing there is no linear map of a source.
  blobs = skimage.data.binary_blobs(384, blob_size_fraction=0.15, rng=0)
  plane = blobs.astype(np.float32).reshape(48, 8, 48, 8).mean(axis=(1, 3))
  return upscaling_pairs.build_pairs(
    [1.6 * plane - 0.8], factor=2, source_size=5
  )


@pytest.fixture
def config():
  config = upscale.get_config(preset='fast').mean
  config.num_steps, config.max_minutes = 300, 0.0
  config.steps_per_call = 100
  config.num_devices = 1
  config.batch_size = 128
  config.network.width, config.network.depth = 64, 1
  config.optimizer.learning_rate = 1e-2
  config.optimizer.warmup_steps = 20
  return config


def network_of(pairs, config):
  return regression.RegressionMLP(
    pairs.target.shape[-1], config.network.width, config.network.depth
  )


def task_of(pairs, config):
  return regression.make_task(
    upscaler_examples.target_examples(pairs), network_of(pairs, config), config
  )


def test_begins_at_the_linear_map(pairs, config):
  network = network_of(pairs, config)
  state = task_of(pairs, config).initial_state()
  features, target = upscaling_pairs.sample_pairs(
    jax.random.key(0), pairs, num=10
  )
  predicted = network.apply(state.params, features)
  np.testing.assert_array_equal(predicted, jnp.zeros_like(target))


def test_is_soon_better_than_the_linear_map(pairs, config):
  task = task_of(pairs, config)
  network = network_of(pairs, config)
  params = fit_task(task, config).network
  features, target = upscaling_pairs.sample_pairs(
    jax.random.key(1), pairs, num=4000
  )
  left = target - network.apply(params, features)
  assert jnp.mean(jnp.abs(left)) < 0.8 * jnp.mean(jnp.abs(target))
  assert jnp.mean(left**2) < 0.75 * jnp.mean(target**2)


def test_the_same_seed_learns_the_same(pairs, config):
  config.num_steps = config.steps_per_call = 10

  def learned(seed):
    config.seed = seed
    task = task_of(pairs, config)
    return jax.tree.leaves(fit_task(task, config).network)

  first, again, other = learned(0), learned(0), learned(1)
  for a, b in zip(first, again, strict=True):
    np.testing.assert_array_equal(a, b)
  assert any(np.any(a != b) for a, b in zip(first, other, strict=True))


def test_wrong_fields_are_refused(pairs, config):
  def refused(name, value, match):
    wrong = config.copy_and_resolve_references()
    wrong.update_from_flattened_dict({name: value})
    with pytest.raises(ValueError, match=match):
      task_of(pairs, wrong)

  refused('batch_size', 0, '`batch_size`.*0')
  refused('network.width', 0, r'`network\.width`.*0')
  refused('network.depth', -1, r'`network\.depth`.*-1')
  refused('optimizer.name', 'sdg', r'`optimizer\.name`.*sdg')
