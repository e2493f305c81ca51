import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.denoisers.masked_mixture import MaskedMixture
from internal_diffusion.training.masked_mixture import fit_masked_mixture

DIM, RANK, NOISE = 8, 2, 0.2


def make_vectors(seed=0, num=1500):
  """A plane in DIM dimensions with noise; half of the coordinates are seen."""
  rng = np.random.default_rng(seed)
  basis = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:, :RANK]
  clean = rng.standard_normal((num, RANK)) @ (2 * basis).T + 0.5
  noisy = clean + NOISE * rng.standard_normal(clean.shape)
  seen = rng.uniform(size=clean.shape) < 0.5
  return jnp.float32(clean), jnp.float32(noisy), jnp.float32(seen)


def start(num_components=1):
  shape = (num_components, DIM, RANK)
  loadings = 0.5 * jax.random.normal(jax.random.key(0), shape)
  means = jax.random.normal(jax.random.key(1), (num_components, DIM))
  return MaskedMixture(
    jnp.full(num_components, -jnp.log(num_components)),
    0.1 * means,
    loadings,
    jnp.full(num_components, 0.1),
  )


def log_likelihood(mixture, x, seen):
  """Of the seen parts, by the dense Gaussian of the only component."""
  loading = np.asarray(mixture.loadings[0], np.float64)
  noise = float(mixture.noise_variances[0])
  covariance = loading @ loading.T + noise * np.eye(DIM)
  total = 0.0
  for row, own in zip(np.asarray(x - mixture.means), seen > 0, strict=True):
    own = np.asarray(own)
    inside = covariance[np.ix_(own, own)]
    quadratic = row[own] @ np.linalg.solve(inside, row[own])
    total -= (quadratic + np.linalg.slogdet(inside)[1]) / 2
  return total / len(x)


def test_recovers_a_plane_from_half_of_the_coordinates():
  clean, noisy, seen = make_vectors()
  mixture = fit_masked_mixture(noisy, seen, start(), num_steps=100)
  np.testing.assert_allclose(mixture.means[0], [0.5] * DIM, atol=0.2)
  loading = np.asarray(mixture.loadings[0])
  covariance = np.cov(np.asarray(clean).T)
  np.testing.assert_allclose(loading @ loading.T, covariance, atol=0.2)
  np.testing.assert_allclose(mixture.noise_variances, NOISE**2, rtol=0.2)
  # Four seen coordinates determine the point on the plane well.
  enough = np.asarray(seen.sum(axis=1) >= 4)
  error = np.asarray(mixture.complete(noisy, seen).mean - clean)[enough]
  assert np.sqrt(np.mean(error**2)) < 3 * NOISE


def test_likelihood_does_not_fall():
  _, noisy, seen = make_vectors(num=300)
  mixture, values = start(), []
  for _ in range(8):
    values.append(log_likelihood(mixture, noisy, seen))
    mixture = fit_masked_mixture(noisy, seen, mixture, num_steps=1)
  assert (np.diff(values) > -1e-3).all(), values
  assert values[-1] > values[0] + 1


def test_values_of_missing_parts_do_not_matter():
  _, noisy, seen = make_vectors(num=300)
  hidden = jnp.where(seen > 0, noisy, jnp.nan)
  found = fit_masked_mixture(hidden, seen, start(2), num_steps=2)
  wanted = fit_masked_mixture(noisy, seen, start(2), num_steps=2)
  jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_coordinate_that_is_never_seen_keeps_its_row():
  _, noisy, seen = make_vectors(num=300)
  first = start()
  found = fit_masked_mixture(noisy, seen.at[:, 3].set(0), first, num_steps=3)
  np.testing.assert_allclose(
    found.loadings[:, 3], first.loadings[:, 3], atol=1e-5
  )
  np.testing.assert_allclose(found.means[:, 3], first.means[:, 3], atol=1e-5)


def test_other_vectors_of_the_same_shape_compile_nothing():
  (_, *first), (_, *second) = (make_vectors(seed, num=300) for seed in (0, 1))
  fit_masked_mixture(*first, start(2), num_steps=2)
  before = start(2)
  with compilation.measure_compilation() as meter:
    fit_masked_mixture(*second, before, num_steps=2)
  assert meter.count == 0


def test_bad_arguments():
  _, noisy, seen = make_vectors(num=30)
  with pytest.raises(ValueError, match=r'\(30, 8\) and \(29, 8\)'):
    fit_masked_mixture(noisy, seen[1:], start())
  with pytest.raises(ValueError, match='`vectors` and `seen`'):
    fit_masked_mixture(noisy[0], seen[0], start())
  with pytest.raises(ValueError, match='num_steps'):
    fit_masked_mixture(noisy, seen, start(), num_steps=0)
