"""Noise levels, and noisy and incomplete conditions, of training."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.training import corruption
from internal_diffusion.training.options import (
  ConditionOptions,
  NoiseDraw,
  NoiseOptions,
)
from internal_diffusion.types import Condition


def test_noise_levels_are_quantiles_of_their_distribution():
  uniform = jnp.array([0.0, 0.5, 1.0])
  log_uniform = NoiseOptions(sigma_min=0.01, sigma_max=100.0)
  np.testing.assert_allclose(
    corruption.draw_sigma(uniform, log_uniform), [0.01, 1, 100], rtol=1e-4
  )
  lognormal = NoiseOptions(draw=NoiseDraw.LOGNORMAL, log_mean=0.5, log_std=2.0)
  # The quantile of one standard deviation.
  one_std = jax.scipy.stats.norm.cdf(1.0)
  np.testing.assert_allclose(
    corruption.draw_sigma(jnp.array([0.5, one_std]), lognormal),
    np.exp([0.5, 2.5]),
    rtol=1e-4,
  )


def test_augmented_conditions_are_noisy_and_incomplete():
  keys = jax.random.split(jax.random.key(0), 4000)
  clean = Condition(vector=jnp.ones((4000, 2)))
  options = ConditionOptions(sigma_aug=0.5, dropout=0.25)
  shown = corruption.augment(keys, clean, options)
  given = np.asarray(shown.given)[:, 0]
  assert abs(given.mean() - 0.75) < 0.03
  noise = np.asarray(shown.vector)[given] - 1
  assert abs(noise.std() - 0.5) < 0.02
  assert abs(noise.mean()) < 0.02


def test_a_drawn_noise_level_is_given_to_the_network():
  keys = jax.random.split(jax.random.key(0), 4000)
  clean = Condition(vector=jnp.zeros((4000, 8)))
  options = ConditionOptions(sigma_aug=0.1, sigma_aug_max=10.0)
  shown = corruption.augment(keys, clean, options)
  sigma = np.asarray(shown.sigma_aug)
  assert (sigma >= 0.099).all()
  assert (sigma <= 10.01).all()
  # Log-uniform: half lie below the geometric mean.
  assert abs((sigma < 1).mean() - 0.5) < 0.03
  unit = np.asarray(shown.vector) / sigma[:, None]
  assert abs(unit.std() - 1) < 0.02
