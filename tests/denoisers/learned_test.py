import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.denoisers import embeddings, learned
from internal_diffusion.denoisers.learned import (
  LearnedDenoiser,
  PrincipalDenoiser,
)
from internal_diffusion.denoisers.parametrization import Parametrization
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.types import Condition

DIM = 6
LAYOUT = Layout((Part('source', DIM),))


def make():
  key, network_key = jax.random.split(jax.random.key(0))
  mixing = jax.random.normal(key, (DIM, DIM))
  vectors = jax.random.normal(key, (5000, DIM)) @ mixing + 0.3
  dims = learned.network_dims(LAYOUT)
  network = ScoreMLP(output_dim=dims.output, width=16, depth=1)
  model = LearnedDenoiser(
    params=network.init(network_key, jnp.zeros((1, dims.input)), jnp.zeros(1)),
    basis=principal_basis.fit_principal_basis(vectors),
    cond_basis=None,
    network=network,
    layout=LAYOUT,
  )
  return model, vectors


def moved(model):
  """The model with parameters away from their zeros."""
  params = jax.tree.map(lambda p: p + 0.05, model.params)
  return model.replace(params=params)


def test_untrained_it_is_the_wiener_filter():
  model, vectors = make()
  x = vectors[:10]
  covariance = np.cov(np.asarray(vectors).T, bias=True)
  gain = covariance @ np.linalg.inv(covariance + 0.7**2 * np.eye(DIM))
  mean = np.asarray(vectors).mean(axis=0)
  expected = mean + (np.asarray(x) - mean) @ gain.T
  np.testing.assert_allclose(
    model(x, jnp.float32(0.7)), expected, rtol=1e-3, atol=1e-3
  )


def test_both_coordinates_are_one_denoiser():
  model, vectors = make()
  model = moved(model)
  x = vectors[:5] + 0.4
  sigma = jnp.array([0.1, 0.4, 1.0, 3.0, 9.0])
  principal = PrincipalDenoiser(model)
  z = principal_basis.to_principal(model.basis, x)
  np.testing.assert_allclose(
    model(x, sigma), principal.decode(principal(z, sigma)), atol=1e-4
  )


def test_scalar_sigma_is_a_batch_of_equal_ones():
  model, vectors = make()
  model = moved(model)
  np.testing.assert_array_equal(
    model(vectors[:3], jnp.float32(0.5)), model(vectors[:3], jnp.full(3, 0.5))
  )


def test_a_second_model_of_the_same_structure_compiles_nothing():
  denoise = jax.jit(lambda model, x, sigma: model(x, sigma))
  first, vectors = make()
  second = moved(make()[0])
  sigma = jnp.float32(0.5)
  before = denoise(first, vectors[:3], sigma)
  with measure_compilation() as meter:
    after = denoise(second, vectors[:3], sigma)
  assert meter.count == 0
  assert abs(after - before).max() > 1e-3


def test_a_condition_of_an_unconditional_model_is_refused():
  model, vectors = make()
  with pytest.raises(ValueError, match='this model is unconditional'):
    model(vectors[:3], 0.5, Condition(vector=jnp.zeros((3, 2))))


@pytest.mark.parametrize('parametrization', Parametrization)
def test_every_parametrization_knows_its_limits(parametrization):
  # Of N(0, 1): without noise the denoiser is x whatever the network predicts;
  # and in all noise a network at 0 must not return the noise itself, but for
  # processes whose prediction is relative to it.
  found = parametrization.coefficients(jnp.array([1e-4]), jnp.ones((1, 2)))
  np.testing.assert_allclose(np.ravel(found.c_skip), 1, atol=1e-3)
  assert np.max(abs(np.asarray(found.c_out))) < 2e-3


def test_wiener_and_edm_agree_where_all_components_have_one_variance():
  sigma = jnp.array([0.1, 1.0, 10.0])
  wiener, edm = (
    p.coefficients(sigma, jnp.full((3, 4), 0.6))
    for p in (Parametrization.WIENER, Parametrization.EDM)
  )
  for a, b in zip(wiener, edm, strict=True):
    a, b = np.broadcast_arrays(np.reshape(a, (3, -1)), np.reshape(b, (3, -1)))
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_bands_average_every_component_once():
  for dim in (1, 3, 18, 49, 147, 675):
    bands = embeddings.frequency_bands(dim)
    assert ((bands > 0).sum(axis=1) == 1).all()
    np.testing.assert_allclose(bands.sum(axis=0), 1, rtol=1e-5)


def test_soft_clip_is_the_identity_below_and_the_bound_above():
  y = jnp.array([0.01, -0.01, 1e4, -1e4])
  np.testing.assert_allclose(
    embeddings.soft_clip(y), [0.01, -0.01, 3, -3], rtol=1e-4
  )


def test_fourier_features_have_unit_pairs():
  features = embeddings.fourier_features(jnp.linspace(-2, 1, 7), num_features=8)
  pairs = features[:, :4] ** 2 + features[:, 4:] ** 2
  np.testing.assert_allclose(pairs, 1, rtol=1e-5)
