import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.training import model_files
from internal_diffusion.training.gaussian_mixture import (
  fit_gaussian_mixture,
  remove_noise,
)

DIM = 6


def make_vectors(num=4000, noise_std=0.3, seed=0):
  """Two planes in DIM dimensions, with noise; and their clean vectors."""
  rng = np.random.default_rng(seed)
  parts = []
  for offset in (-2.0, 2.0):
    basis = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:, :2]
    along = rng.standard_normal((num // 2, 2)) * (1.5, 1.0)
    parts.append(along @ basis.T + offset)
  clean = np.concatenate(parts)
  noisy = clean + noise_std * rng.standard_normal(clean.shape)
  return jnp.float32(clean), jnp.float32(noisy)


def fit(vectors, **options):
  options = {'noise_std': 0.3, 'num_components': 2} | options
  return fit_gaussian_mixture(jax.random.key(0), vectors, **options)


def test_finds_the_rank_and_the_variances_without_the_noise():
  _, noisy = make_vectors()
  mixture = fit(noisy)
  assert (np.asarray(mixture.variances > 0).sum(axis=1) == 2).all()
  found = np.sort(mixture.variances, axis=1)[:, -2:]
  np.testing.assert_allclose(found, [[1.0, 2.25]] * 2, rtol=0.1)
  np.testing.assert_allclose(mixture.log_weights, np.log(0.5), atol=0.02)


def test_denoises_nearly_as_well_as_the_true_planes():
  clean, noisy = make_vectors()
  error = jnp.mean((fit(noisy)(noisy, jnp.float32(0.3)) - clean) ** 2)
  # Two of six directions stay noisy.
  assert float(error) < 1.1 * 0.09 * 2 / DIM


def test_steps_raise_the_likelihood():
  _, noisy = make_vectors()
  values = [
    float(
      jnp.mean(
        fit(noisy, num_components=6, num_steps=steps).log_density(
          noisy, jnp.float32(0.3)
        )
      )
    )
    for steps in (1, 4, 12)
  ]
  assert values[0] < values[1] < values[2] + 1e-3


def test_a_start_continues():
  _, noisy = make_vectors(400)
  two = fit(noisy, num_steps=2, start=fit(noisy, num_steps=1))
  three = fit(noisy, num_steps=3)
  np.testing.assert_allclose(two.means, three.means, atol=1e-4)


@pytest.mark.parametrize('num', [200, 5000])
def test_noise_alone_leaves_no_variance(num):
  noise = 0.5 * np.random.default_rng(0).standard_normal((num, 30))
  found = fit(jnp.float32(noise), noise_std=0.5, num_components=1)
  assert float(jnp.max(found.variances)) < 0.1


def test_removing_noise_inverts_the_spiked_covariance():
  # A direction of variance v appears as (v + s)(1 + gamma s / v), s = sigma^2.
  variance, noise, gamma = 2.0, 0.25, 0.1
  sample = (variance + noise) * (1 + gamma * noise / variance)
  eigenvalues = jnp.array([[noise, sample]])
  found = remove_noise(eigenvalues, jnp.array([[20.0]]), jnp.float32(0.5))
  np.testing.assert_allclose(found, [[0.0, variance]], rtol=1e-5)


def test_clean_vectors_keep_their_covariance():
  clean, _ = make_vectors()
  found = fit(clean, noise_std=0.0, num_components=1)
  wanted = np.linalg.eigvalsh(np.cov(np.asarray(clean).T))
  np.testing.assert_allclose(
    np.sort(found.variances[0]), wanted, rtol=1e-2, atol=1e-3
  )


def test_is_saved_and_loaded(tmp_path):
  _, noisy = make_vectors(400)
  mixture = fit(noisy)
  model_files.save(tmp_path, mixture)
  loaded = model_files.load(tmp_path, type(mixture))
  np.testing.assert_array_equal(
    loaded(noisy, jnp.float32(1)), mixture(noisy, jnp.float32(1))
  )


def test_other_vectors_of_the_same_shape_compile_nothing():
  (_, first), (_, second) = (make_vectors(400, seed=seed) for seed in (0, 1))
  fit(first)
  with compilation.measure_compilation() as meter:
    fit(second, noise_std=0.2)
  assert meter.count == 0


def test_bad_arguments():
  _, noisy = make_vectors(400)
  with pytest.raises(ValueError, match='vectors'):
    fit(noisy[:3], num_components=4)
  with pytest.raises(ValueError, match='noise_std'):
    fit(noisy, noise_std=-1.0)


def test_vectors_of_many_dimensions_are_described_in_a_subspace():
  rng = np.random.default_rng(0)
  clean, _ = make_vectors()
  columns = np.linalg.qr(rng.standard_normal((100, DIM)))[0]
  high = np.asarray(clean) @ columns.T
  noisy = jnp.float32(high + 0.3 * rng.standard_normal(high.shape))
  mixture = fit(noisy, num_steps=6)
  assert mixture.directions.shape == (2, 100, 64)
  error = jnp.mean((mixture(noisy, jnp.float32(0.3)) - high) ** 2)
  assert float(error) < 1.2 * 0.09 * 2 / 100
  # A start continues in its own subspace.
  again = fit(noisy, num_steps=3, start=fit(noisy, num_steps=3))
  np.testing.assert_allclose(again.means, mixture.means, atol=1e-3)
  # Outside of the subspace the density is that of the noise.
  outside = np.asarray(mixture.log_density(noisy, jnp.float32(0.3)))
  gaussian = -50 * np.log(2 * np.pi * 0.09) - np.sum(
    (np.asarray(noisy) - high) ** 2, axis=1
  ) / (2 * 0.09)
  assert abs(outside.mean() - gaussian.mean()) < 8


def test_hidden_variance_keeps_the_trace():
  # One direction is above the noise's edge, 39 are below it.
  rng = np.random.default_rng(0)
  clean = 0.1 * rng.standard_normal((400, 40))
  clean[:, 0] *= 30
  noisy = clean + 0.5 * rng.standard_normal(clean.shape)
  options = {'noise_std': 0.5, 'num_components': 1}
  none = fit(jnp.float32(noisy), **options)
  full = fit(jnp.float32(noisy), hidden_share=1.0, **options)
  assert int(jnp.sum(none.variances > 0)) <= 2
  trace = np.trace(np.cov(noisy.T, bias=True)) - 40 * 0.25
  np.testing.assert_allclose(jnp.sum(full.variances), trace, rtol=1e-3)
