"""Regression networks and the losses that train them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.super_resolution import losses, pairs
from internal_diffusion.applications.super_resolution.networks import (
  RegressionMLP,
  ScaleMLP,
  init_regression,
)
from internal_diffusion.training.fit import fit
from internal_diffusion.training.options import OptimizerOptions, TrainOptions

OPTIONS = TrainOptions(
  batch_size=256,
  num_steps=600,
  steps_per_call=300,
  num_devices=1,
  optimizer=OptimizerOptions(learning_rate=1e-2, warmup_steps=20),
)
INDEX = jnp.arange(256)


@dataclasses.dataclass(frozen=True)
class Constant:
  """A regression that predicts one value, and a state that holds it."""

  value: float

  @property
  def model(self):
    return self

  def __call__(self, features):
    return jnp.full((len(features), 4), self.value)


@pytest.fixture(scope='module')
def noise_pairs():
  """Targets [N, 4] are Laplace noise of scale 0.2, independent of features."""
  source = jax.random.normal(jax.random.key(0), (4000, 9))
  target = 0.2 * jax.random.laplace(jax.random.key(1), (4000, 4))
  return pairs.UpscalingPairs(
    source,
    target,
    jnp.linspace(0, 1, 4001)[1:],
    pairs.SourceEncoding(jnp.zeros((9, 4)), jnp.eye(9)),
  )


def laplace_losses(scale, noise_pairs):
  loss = losses.LaplaceLoss(256)
  return loss(jax.random.key(0), Constant(scale), noise_pairs, None, INDEX)


def test_the_loss_is_the_negative_log_likelihood_of_a_laplace_distribution(
  noise_pairs,
):
  _, target = pairs.sample_pairs(jax.random.key(0), noise_pairs, num=256)
  expected = -jax.scipy.stats.laplace.logpdf(target, scale=0.3).mean(axis=-1)
  found = laplace_losses(0.3, noise_pairs) + jnp.log(2)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_loss_is_least_at_the_mean_absolute_residual(noise_pairs):
  _, target = pairs.sample_pairs(jax.random.key(0), noise_pairs, num=256)
  best = float(jnp.mean(jnp.abs(target)))
  slope = jax.grad(lambda b: jnp.mean(laplace_losses(b, noise_pairs)))(best)
  np.testing.assert_allclose(slope, 0, atol=1e-4)


def test_losses_of_a_part_of_the_batch_are_those_of_the_whole(noise_pairs):
  part = jnp.array([3, 200, 7, 3])
  loss = losses.AbsoluteError(256)
  whole, some = (
    loss(jax.random.key(0), Constant(0.1), noise_pairs, None, index)
    for index in (INDEX, part)
  )
  np.testing.assert_array_equal(whole[part], some)


def test_small_and_large_scales_are_learnt():
  # Weak sources have small residuals, strong ones large residuals.
  strength = jnp.repeat(jnp.array([0.3, 1.5]), 2000)[:, None]
  source = strength * jax.random.normal(jax.random.key(0), (4000, 9))
  true_scale = 0.2 * strength
  target = true_scale * jax.random.laplace(jax.random.key(1), (4000, 4))
  encoding = pairs.SourceEncoding(jnp.zeros((9, 4)), jnp.eye(9))
  found = pairs.UpscalingPairs(
    source, target, jnp.linspace(0, 1, 4001)[1:], encoding
  )
  model = fit(initial(ScaleMLP), found, losses.LaplaceLoss(256), OPTIONS).model
  error = jnp.abs(jnp.log(model(source) / true_scale))
  assert jnp.median(error) < 0.15


def initial(kind):
  return init_regression(jax.random.key(0), kind(4, 32, 1), num_features=9)


def test_a_regression_predicts_0_before_training():
  model = initial(RegressionMLP)
  features = jax.random.normal(jax.random.key(1), (5, 9))
  np.testing.assert_array_equal(model(features), jnp.zeros((5, 4)))


def test_scales_are_bounded_for_any_features():
  model = initial(ScaleMLP)
  wild = model.replace(
    params=jax.tree.map(lambda leaf: 10 * jnp.ones_like(leaf), model.params)
  )
  for sign in (-1, 1):
    found = wild(jnp.full((1, 9), 1e3 * sign))
    assert jnp.all((found >= 0.01) & (found <= 0.5))
