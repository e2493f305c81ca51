"""The closed form of p(target | source)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.kernel_regression import (
  KernelDeviation,
  KernelPairs,
  KernelRegression,
)
from internal_diffusion.types import Condition


@pytest.fixture
def pairs():
  features, target = jax.random.normal(jax.random.key(0), (2, 40, 3))
  return KernelPairs(features, target)


def test_the_mean_is_that_of_the_pairs_likely_sources(pairs):
  features = jax.random.normal(jax.random.key(1), (5, 3))
  found = KernelRegression(0.7).apply(pairs, features)
  for query, mean in zip(np.asarray(features), found, strict=True):
    distance = ((query - np.asarray(pairs.features)) ** 2).sum(axis=-1)
    weight = np.exp(-distance / (2 * 0.7**2))
    wanted = weight @ np.asarray(pairs.target) / weight.sum()
    np.testing.assert_allclose(mean, wanted, atol=1e-5)


def test_limits_of_the_bandwidth(pairs):
  narrow = KernelRegression(0.01).apply(pairs, pairs.features)
  np.testing.assert_allclose(narrow, pairs.target, atol=1e-5)
  wide = KernelRegression(1e3).apply(pairs, pairs.features)
  mean = np.broadcast_to(pairs.target.mean(axis=0), wide.shape)
  np.testing.assert_allclose(wide, mean, atol=1e-3)


def test_the_deviation_is_that_of_the_pairs_likely_sources(pairs):
  features = jax.random.normal(jax.random.key(1), (5, 3))
  found = KernelDeviation(0.7).apply(pairs, features)
  for query, deviation in zip(np.asarray(features), found, strict=True):
    distance = ((query - np.asarray(pairs.features)) ** 2).sum(axis=-1)
    weight = np.exp(-distance / (2 * 0.7**2))
    weight = weight[:, None] / weight.sum()
    target = np.asarray(pairs.target)
    mean = (weight * target).sum(axis=0)
    variance = (weight * (target - mean) ** 2).sum(axis=0).mean()
    np.testing.assert_allclose(deviation, np.sqrt([variance] * 3), rtol=1e-4)


def test_the_rest_is_nothing_in_much_noise_and_a_pairs_own_in_little(pairs):
  kernel = KernelRegression(0.5)
  cond = Condition(vector=pairs.features)
  mean = kernel.apply(pairs, pairs.features)
  unit = KernelDeviation(0.5).apply(pairs, pairs.features)
  rest = (pairs.target - mean) / unit
  noise = jax.random.normal(jax.random.key(2), rest.shape)
  drowned = kernel.denoise_rest(pairs, 1e3 * noise, jnp.float32(1e3), cond)
  assert np.abs(drowned).max() < 0.05
  found = kernel.denoise_rest(
    pairs, rest + 0.01 * noise, jnp.full(len(rest), 0.01), cond
  )
  np.testing.assert_allclose(found, rest, atol=1e-3)


def test_the_rest_needs_features(pairs):
  with pytest.raises(ValueError, match='features'):
    KernelRegression(0.5).denoise_rest(
      pairs, pairs.target, jnp.float32(1), None
    )
