"""How far blocks lie from what a regression says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.configs import upscale
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.training import regression
from internal_diffusion.training.deviation import DeviationMLP, laplace_loss
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.fit import fit_task
from internal_diffusion.types import Condition


def test_the_loss_is_least_at_the_mean_absolute_value():
  rest = jax.random.normal(jax.random.key(0), (1000, 1))

  def loss(deviation):
    return jnp.mean(laplace_loss(jnp.full_like(rest, deviation), rest))

  best = jnp.mean(jnp.abs(rest))
  np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-5)
  assert loss(best) < min(loss(0.8 * best), loss(1.25 * best))


def test_the_loss_is_the_negative_log_likelihood_of_a_laplace_distribution():
  values = jnp.linspace(-1, 1, 7)[:, None]
  found = laplace_loss(jnp.full_like(values, 0.3), values)
  expected = -jax.scipy.stats.laplace.logpdf(values[:, 0], scale=0.3)
  np.testing.assert_allclose(found + jnp.log(2), expected, rtol=1e-5)


def true_deviation(features):
  """From small to large, another one for each of two outputs."""
  return 0.4 * jnp.exp(-2 * (features[:, :1] + 1) * jnp.array([[1.0, 0.5]]))


def examples():
  def draw_fn(key, data, num):
    feature_key, rest_key = jax.random.split(key)
    features = jax.random.uniform(feature_key, (num, 3), minval=-1, maxval=1)
    rest = jax.random.laplace(rest_key, (num, 2)) * true_deviation(features)
    return data + rest, Condition(vector=features)

  layout = Layout((Part('target', 2),), (Part('source', 3),))
  return Examples(data=jnp.zeros(()), draw_fn=draw_fn, layout=layout)


@pytest.fixture
def config():
  config = upscale.get_config().deviation
  config.num_steps, config.max_minutes = 600, 0.0
  config.steps_per_call = 300
  config.num_devices = 1
  config.batch_size = 256
  config.network.width, config.network.depth = 32, 1
  config.optimizer.learning_rate = 1e-2
  config.optimizer.warmup_steps = 20
  return config


def test_small_and_large_deviations_are_learnt(config):
  network = DeviationMLP(2, 32, 1)
  task = regression.make_task(examples(), network, config, loss_fn=laplace_loss)
  params = fit_task(task, config).network
  features = jax.random.uniform(
    jax.random.key(1), (1000, 3), minval=-1, maxval=1
  )
  expected = jnp.maximum(true_deviation(features), 0.01)
  found = network.apply(params, features)
  assert jnp.median(jnp.abs(jnp.log(found / expected))) < 0.1
  assert jnp.max(jnp.abs(jnp.log(found / expected))) < 0.7


def test_deviations_are_bounded_wherever_the_network_is_asked():
  network = DeviationMLP(2, 32, 1)
  params = network.init(jax.random.key(0), jnp.zeros((1, 3)))
  wild = jax.tree.map(lambda leaf: 10 * jnp.ones_like(leaf), params)
  for sign in (-1, 1):
    found = network.apply(wild, jnp.full((1, 3), 1e3 * sign))
    assert jnp.all((found >= 0.01) & (found <= 0.5))


def test_wrong_fields_are_refused(config):
  config.batch_size = 0
  with pytest.raises(ValueError, match=r'`batch_size`.*0'):
    regression.make_task(examples(), DeviationMLP(2, 32, 1), config)
