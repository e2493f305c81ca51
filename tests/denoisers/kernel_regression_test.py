"""Kernel regression, the closed form of p(target | source)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.kernel_regression import KernelRegression
from internal_diffusion.types import Condition

FEATURES, TARGET = jax.random.normal(jax.random.key(0), (2, 40, 3))
QUERIES = jax.random.normal(jax.random.key(1), (5, 3))


def model(sigma_aug):
  return KernelRegression(FEATURES, TARGET, sigma_aug)


def expected_moments(sigma_aug):
  """Mean and root mean square residual of weighted targets, by definition."""
  for query in np.asarray(QUERIES):
    distance = ((query - np.asarray(FEATURES)) ** 2).sum(axis=-1)
    weight = np.exp(-distance / (2 * sigma_aug**2))[:, None]
    weight /= weight.sum()
    target = np.asarray(TARGET)
    mean = (weight * target).sum(axis=0)
    variance = (weight * (target - mean) ** 2).sum(axis=0).mean()
    yield mean, np.full(3, np.sqrt(variance))


def test_mean_and_scale_are_those_of_the_weighted_targets():
  means, scales = map(np.array, zip(*expected_moments(0.7), strict=True))
  np.testing.assert_allclose(model(0.7).mean(QUERIES), means, atol=1e-5)
  np.testing.assert_allclose(model(0.7).scale(QUERIES), scales, rtol=1e-4)


def test_limits_of_the_bandwidth():
  np.testing.assert_allclose(model(0.01).mean(FEATURES), TARGET, atol=1e-5)
  wide = model(1e3).mean(FEATURES)
  mean = np.broadcast_to(TARGET.mean(axis=0), wide.shape)
  np.testing.assert_allclose(wide, mean, atol=1e-3)


def test_the_denoised_residual_is_0_in_much_noise_and_a_pairs_own_in_little():
  kernel = model(0.5)
  cond = Condition(vector=FEATURES)
  residual = (TARGET - kernel.mean(FEATURES)) / kernel.scale(FEATURES)
  noise = jax.random.normal(jax.random.key(2), residual.shape)
  denoised = kernel(1e3 * noise, jnp.float32(1e3), cond)
  assert np.abs(denoised).max() < 0.05
  sigma = jnp.full(len(residual), 0.01)
  found = kernel(residual + 0.01 * noise, sigma, cond)
  np.testing.assert_allclose(found, residual, atol=1e-3)


def test_a_denoiser_needs_features():
  with pytest.raises(ValueError, match='features'):
    model(0.5)(TARGET, jnp.float32(1), None)
