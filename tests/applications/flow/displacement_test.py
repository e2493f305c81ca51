"""The learned denoiser of displacements, before training, and its Gaussian."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.applications.flow import displacement, features
from internal_diffusion.applications.flow.displacement import (
  LearnedDisplacement,
)
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.sampling import moments

NETWORK = displacement.DisplacementMLP(width=16, depth=1)
STDDEV = 1.5


@pytest.fixture(scope='module')
def pairs():
  rng = np.random.default_rng(0)
  patches = rng.normal(size=(2, 300, 25)).astype(np.float32) / 3
  return jnp.asarray(patches)


@pytest.fixture(scope='module')
def model(pairs):
  encoding = features.fit_encoding(*pairs, stddev=STDDEV)
  shown, _ = features.pair_features(encoding, *pairs, jnp.full(300, 0.01))
  network = jax.jit(NETWORK.init)(jax.random.key(0), shown)
  # As if it had been trained: otherwise the last layers are 0.
  network = jax.tree.map(
    lambda x: x + 0.1 * jax.random.normal(jax.random.key(1), x.shape), network
  )
  return LearnedDisplacement(network, encoding, NETWORK)


@pytest.fixture(scope='module')
def vector(model, pairs):
  return jax.jit(type(model).encode)(model, *pairs, jnp.full(300, 0.01))


def without_correction(model):
  params = model.params['params']
  head = jax.tree.map(jnp.zeros_like, params['correction'])
  return model.replace(params={'params': {**params, 'correction': head}})


def test_the_posterior_is_never_wider_than_the_prior(vector):
  _, root = displacement.gaussian_of(vector)
  covariance = np.asarray(root @ root.mT)
  widest = np.linalg.eigvalsh(covariance)[:, -1]
  assert (widest <= STDDEV**2 * 1.0001).all()


def test_the_likelihood_is_that_of_the_gaussian(vector):
  mean, root = displacement.gaussian_of(vector)
  delta = jnp.asarray(np.random.default_rng(1).normal(size=(300, 2)))
  found = displacement.negative_log_likelihood(vector, delta)
  covariance = np.asarray(root @ root.mT, np.float64)
  exact = [
    -scipy.stats.multivariate_normal(m, c).logpdf(d)
    for m, c, d in zip(mean, covariance, delta, strict=True)
  ]
  np.testing.assert_allclose(found + np.log(2 * np.pi), exact, rtol=1e-3)


def test_without_correction_it_denoises_that_gaussian(model, vector):
  mean, root = displacement.gaussian_of(vector)
  covariance = root @ root.mT
  x = jnp.asarray(np.random.default_rng(2).normal(size=(300, 2)), jnp.float32)
  for sigma in (0.1, 1.0, 5.0):
    found = without_correction(model).denoise(x, jnp.float32(sigma), vector)
    gain = covariance @ jnp.linalg.inv(covariance + sigma**2 * jnp.eye(2)[None])
    offset = x - mean
    exact = mean + jnp.einsum('nij,nj->ni', gain, offset)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_one_evaluation_at_high_noise_gives_its_moments(model, vector):
  found, covariance = moments.mean_and_covariance(
    functools.partial(without_correction(model).denoise, vector=vector),
    num=300,
    dim=2,
    sigma_max=100.0,
  )
  mean, root = displacement.gaussian_of(vector)
  np.testing.assert_allclose(found, mean, atol=5e-3)
  np.testing.assert_allclose(covariance, root @ root.mT, atol=5e-3)


def test_at_high_noise_x_does_not_matter(model, vector):
  found = [
    model.denoise(x, jnp.float32(1000.0), vector)
    for x in (jnp.zeros((300, 2)), jnp.full((300, 2), 3.0))
  ]
  np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_no_condition_is_an_error(model):
  with pytest.raises(ValueError, match=r'cond\.vector'):
    FlowModel(model, 5, STDDEV, (0.01, 0.1))(
      jnp.zeros((1, 2)), jnp.float32(1.0)
    )
