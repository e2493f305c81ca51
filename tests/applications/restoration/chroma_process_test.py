"""Gaussian process of chroma."""

import jax
import numpy as np
import pytest

from internal_diffusion.applications.restoration import chroma_process as lib

KERNEL = lib.Kernel(
  lengths=np.array([[1.0, 1.0, 0.5], [3.0, np.inf, 2.0]]),
  amplitude=np.array([1.0, 0.3]),
  offset=np.array([0.2, 1.0]),
  noise=np.array(0.01),
)


def observations(num=40):
  random = np.random.default_rng(0)
  features = random.uniform(0, 2, (num, 3))
  chroma = random.normal(size=(num, 2)) @ np.array([[1, 0.5], [0, 0.3]])
  return features, chroma, np.arange(num) // 5


def test_mean_and_variance_are_those_of_the_formula():
  features, chroma, group = observations()
  process, _ = lib.observe(KERNEL, features, chroma, group)
  at = np.random.default_rng(1).uniform(0, 2, (7, 3))
  found = lib.posterior(jax.random.key(0), process, at, num_samples=0)
  inverse = np.linalg.inv(
    lib.kernel_matrix(KERNEL, features, features) + 0.01 * np.eye(40)
  )
  near = lib.kernel_matrix(KERNEL, at, features)
  np.testing.assert_allclose(found.mean, near @ inverse @ chroma, atol=1e-4)
  variance = np.diag(
    lib.kernel_matrix(KERNEL, at, at) - near @ inverse @ near.T
  )
  np.testing.assert_allclose(found.variance, variance + 0.01, atol=1e-3)
  assert found.samples.shape == (0, 7, 2)


def test_a_group_left_out_is_predicted_as_by_a_process_without_it():
  features, chroma, group = observations()
  _, left_out = lib.observe(KERNEL, features, chroma, group)
  rest = group != 3
  process, _ = lib.observe(
    KERNEL, features[rest], chroma[rest], np.zeros(rest.sum(), int)
  )
  found = lib.posterior(
    jax.random.key(0), process, features[~rest], num_samples=0
  )
  np.testing.assert_allclose(
    chroma[~rest] - found.mean, left_out.error[~rest], atol=1e-4
  )
  np.testing.assert_allclose(
    found.variance, left_out.variance[~rest], atol=1e-3
  )


def test_samples_have_the_posterior_moments():
  features, chroma, group = observations(10)
  process, _ = lib.observe(KERNEL, features, chroma, group)
  at = np.concatenate([features[:3], features[:3] + 3])
  found = lib.posterior(jax.random.key(0), process, at, num_samples=1000)
  expected = (found.variance - 0.01)[:, None] * np.diag(process.covariance)
  deviation = found.samples - found.mean
  standard_error = np.sqrt(expected / 1000)
  assert np.all(abs(deviation.mean(0)) < 5 * standard_error + 1e-3)
  # The waves are a random approximation of the prior.
  np.testing.assert_allclose(
    np.mean(deviation**2, axis=0), expected, rtol=0.3, atol=0.02
  )


def test_far_from_observations_the_chroma_is_grey():
  features, chroma, group = observations()
  process, _ = lib.observe(KERNEL, features, chroma, group)
  far = np.array([[100.0, 100.0, 1.0]])
  found = lib.posterior(jax.random.key(0), process, far, num_samples=0)
  np.testing.assert_allclose(found.mean, 0, atol=1e-3)
  assert found.variance[0] == pytest.approx(1.2 + 0.3 * 2 + 0.01, rel=1e-3)
