import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers import masked_mixture
from internal_diffusion.denoisers.masked_mixture import (
  MaskedMixture,
  from_gaussians,
)

NUM, DIM, RANK, COMPONENTS = 40, 8, 3, 3
RNG = np.random.default_rng(0)
MIXTURE = MaskedMixture(
  jnp.log(jnp.array([0.5, 0.3, 0.2])),
  jnp.float32(RNG.normal(size=(COMPONENTS, DIM))),
  jnp.float32(RNG.normal(size=(COMPONENTS, DIM, RANK))),
  jnp.array([0.2, 0.3, 0.1]),
)
X = jnp.float32(2 * RNG.normal(size=(NUM, DIM)))
SEEN = jnp.float32(RNG.uniform(size=(NUM, DIM)) < 0.6)
covariances = np.einsum('kdr,ker->kde', MIXTURE.loadings, MIXTURE.loadings)


def log_joint(x, seen):
  """Log density of the seen part of one vector in each component, dense."""
  found = []
  for k in range(COMPONENTS):
    noise = float(MIXTURE.noise_variances[k])
    inside = (covariances[k] + noise * np.eye(DIM))[np.ix_(seen, seen)]
    residual = (x - np.asarray(MIXTURE.means[k]))[seen]
    quadratic = residual @ np.linalg.solve(inside, residual)
    log_det = np.linalg.slogdet(inside)[1]
    found.append(float(MIXTURE.log_weights[k]) - (quadratic + log_det) / 2)
  return np.array(found)


def condition(x, seen, k):
  """Mean and variance of m + W z, and of noise, by the dense Gaussian."""
  mean = np.asarray(MIXTURE.means[k])
  noise = float(MIXTURE.noise_variances[k])
  inside = covariances[k][np.ix_(seen, seen)] + noise * np.eye(seen.sum())
  across = covariances[k][:, seen]
  gain = np.linalg.solve(inside, across.T).T
  variance = np.diag(covariances[k] - gain @ across.T) + noise
  return mean + gain @ (x - mean)[seen], variance


def test_component_is_the_most_probable_one_given_what_is_seen():
  found = np.asarray(MIXTURE.infer(X, SEEN).component)
  wanted = [
    log_joint(x, s > 0).argmax()
    for x, s in zip(np.asarray(X), np.asarray(SEEN), strict=True)
  ]
  np.testing.assert_array_equal(found, wanted)
  assert len(np.unique(found)) == COMPONENTS


def test_posterior_is_the_conditional_gaussian():
  found = MIXTURE.complete(X, SEEN)
  component = np.asarray(MIXTURE.infer(X, SEEN).component)
  for n in range(NUM):
    mean, variance = condition(
      np.asarray(X[n]), np.asarray(SEEN[n]) > 0, component[n]
    )
    np.testing.assert_allclose(found.mean[n], mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.variance[n], variance, rtol=1e-3)


def test_values_of_missing_parts_do_not_matter():
  other = jnp.where(SEEN > 0, X, 7.0)
  for found, wanted in zip(
    MIXTURE.complete(other, SEEN), MIXTURE.complete(X, SEEN), strict=True
  ):
    np.testing.assert_array_equal(found, wanted)


def test_all_seen_is_probabilistic_principal_component_analysis():
  # z = (W^T W + s^2 I)^-1 W^T (x - m), of covariance s^2 (W^T W + s^2 I)^-1.
  found = MIXTURE.infer(X, jnp.ones_like(X))
  for n, k in enumerate(np.asarray(found.component)):
    loading = np.asarray(MIXTURE.loadings[k], np.float64)
    noise = float(MIXTURE.noise_variances[k])
    system = np.linalg.inv(loading.T @ loading + noise * np.eye(RANK))
    mean = system @ loading.T @ np.asarray(X[n] - MIXTURE.means[k])
    np.testing.assert_allclose(found.mean[n], mean, atol=1e-3)
    np.testing.assert_allclose(found.covariance[n], noise * system, atol=1e-4)


def test_nothing_seen_is_the_prior_of_the_heaviest_component():
  found = MIXTURE.complete(X, jnp.zeros_like(X))
  np.testing.assert_allclose(
    found.mean, np.broadcast_to(MIXTURE.means[0], X.shape), atol=1e-6
  )
  variance = np.diag(covariances[0]) + MIXTURE.noise_variances[0]
  np.testing.assert_allclose(
    found.variance, np.broadcast_to(variance, X.shape), rtol=1e-4
  )


def test_gaussians_have_the_same_covariances_and_densities():
  gaussians = MIXTURE.to_gaussians()
  dense = np.einsum(
    'kdr,kr,ker->kde',
    gaussians.directions,
    gaussians.variances,
    gaussians.directions,
  )
  noise = np.asarray(MIXTURE.noise_variances)[:, None, None] * np.eye(DIM)
  np.testing.assert_allclose(dense, covariances + noise, atol=1e-4)
  whole = [log_joint(x, np.ones(DIM, bool)) for x in np.asarray(X)]
  wanted = np.logaddexp.reduce(whole, axis=1) - DIM / 2 * np.log(2 * np.pi)
  found = gaussians.log_density(X, jnp.float32(0))
  np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_subspaces_of_gaussians_keep_the_largest_variances():
  gaussians = MIXTURE.to_gaussians()
  found = from_gaussians(gaussians, rank=RANK, noise_std=0.5)
  assert found.loadings.shape == (COMPONENTS, DIM, RANK)
  np.testing.assert_allclose(found.noise_variances, 0.25)
  # The largest eigenvalues of W W^T + s^2 I are those of W^T W, plus s^2.
  for k in range(COMPONENTS):
    loading = np.asarray(MIXTURE.loadings[k])
    wanted = np.linalg.eigvalsh(loading.T @ loading)[::-1]
    np.testing.assert_allclose(
      np.sum(np.asarray(found.loadings[k]) ** 2, axis=0),
      wanted + float(MIXTURE.noise_variances[k]),
      rtol=1e-3,
    )


@pytest.mark.parametrize('chunk', [7, NUM, 100])
def test_chunks_do_not_matter(monkeypatch, chunk):
  wanted = MIXTURE.complete(X, SEEN)
  monkeypatch.setattr(masked_mixture, '_CHUNK', chunk)
  found = MIXTURE.complete(X, SEEN)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, wanted
  )
