import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.denoisers import embeddings, learned
from internal_diffusion.denoisers.score_mlp import ScoreMLP

DIM = 6
LAYOUT = Layout((Part('source', DIM),))


def make():
  key, network_key = jax.random.split(jax.random.key(0))
  mixing = jax.random.normal(key, (DIM, DIM))
  vectors = jax.random.normal(key, (5000, DIM)) @ mixing + 0.3
  basis = principal_basis.fit_principal_basis(vectors)
  dims = learned.network_dims(LAYOUT)
  network = ScoreMLP(output_dim=dims.output, width=16, depth=1)
  params = network.init(network_key, jnp.zeros((1, dims.input)), jnp.zeros(1))
  return network, learned.LearnedParams(params, basis), vectors


def make_pixel_denoise_fn(network):
  return learned.to_pixel_space(
    learned.make_principal_denoise_fn(network, LAYOUT)
  )


def test_untrained_it_is_the_wiener_filter():
  network, params, vectors = make()
  denoise_fn = make_pixel_denoise_fn(network)
  x = vectors[:10]
  denoised = denoise_fn(params, x, jnp.float32(0.7), None)
  covariance = np.cov(np.asarray(vectors).T, bias=True)
  gain = covariance @ np.linalg.inv(covariance + 0.7**2 * np.eye(DIM))
  mean = np.asarray(vectors).mean(axis=0)
  expected = mean + (np.asarray(x) - mean) @ gain.T
  np.testing.assert_allclose(denoised, expected, rtol=1e-3, atol=1e-3)


def test_both_coordinates_are_one_denoiser():
  network, params, vectors = make()
  params = params._replace(
    network=jax.tree.map(lambda p: p + 0.05, params.network)
  )
  x = vectors[:5] + 0.4
  sigma = jnp.array([0.1, 0.4, 1.0, 3.0, 9.0])
  in_pixels = make_pixel_denoise_fn(network)(params, x, sigma, None)
  z = principal_basis.to_principal(params.basis, x)
  denoised = learned.make_principal_denoise_fn(network, LAYOUT)(
    params, z, sigma, None
  )
  np.testing.assert_allclose(
    in_pixels, learned.decode(params, denoised), atol=1e-4
  )


def test_scalar_level_is_a_batch_of_equal_levels():
  network, params, vectors = make()
  denoise_fn = make_pixel_denoise_fn(network)
  one = denoise_fn(params, vectors[:3], jnp.float32(0.5), None)
  many = denoise_fn(params, vectors[:3], jnp.full(3, 0.5), None)
  np.testing.assert_array_equal(one, many)


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
