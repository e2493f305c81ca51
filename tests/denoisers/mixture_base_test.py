"""The base of a network: an exact mixture with weights by group."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers import mixture_base
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)

KEY = jax.random.key(0)


def mixture():
  directions = jnp.stack([jnp.eye(2), jnp.array([[0.6, -0.8], [0.8, 0.6]])])
  return GaussianMixtureDenoiser(
    jnp.log(jnp.array([0.3, 0.7])),
    jnp.array([[2.0, 0.0], [-1.0, 1.0]]),
    directions,
    jnp.array([[0.5, 0.01], [1.0, 0.2]]),
  )


def test_without_groups_it_is_the_mixtures_own_denoiser():
  model = mixture()
  base = mixture_base.make_base(model, jnp.zeros((4, 2)), None, num_groups=1)
  z = 2 * jax.random.normal(KEY, (9, 2))
  sigma = jnp.linspace(0.05, 3.0, 9)
  mean, variance = base.posterior(z, sigma, None)
  exact = jnp.stack(
    [model(z[i : i + 1], sigma[i])[0] for i in range(len(sigma))]
  )
  np.testing.assert_allclose(mean, exact, atol=1e-4)
  assert (np.asarray(variance) <= np.asarray(sigma)[:, None] ** 2).all()


def test_groups_have_weights_of_their_own():
  model = mixture()
  z = jnp.repeat(model.means, 30, axis=0)
  groups = jnp.repeat(jnp.arange(2), 30)
  base = mixture_base.make_base(model, z, groups, num_groups=3)
  weights = np.exp(base.log_weights)
  np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
  assert weights[0, 0] > 0.9
  assert weights[1, 1] > 0.9
  # A group without members has no preference.
  np.testing.assert_allclose(weights[2], 0.5, atol=1e-5)
  # With so much noise that z says nothing, the group decides.
  x, sigma = jnp.zeros((2, 2)), jnp.full(2, 100.0)
  mean, _ = base.posterior(x, sigma, jnp.arange(2))
  expected = weights[:2] @ np.asarray(model.means)
  np.testing.assert_allclose(mean, expected, atol=0.02)


def test_scale_and_weight_are_bounded_by_the_wiener_filter():
  stddev, sigma = jnp.array([[2.0, 0.1]]), jnp.array([0.5, 0.5])
  wiener = np.asarray(stddev**2 * 0.25 / (stddev**2 + 0.25))
  variance = jnp.array([[1e9, 1e9], [0.0, 0.0]])
  scale = np.asarray(mixture_base.output_scale(variance, sigma, stddev))
  np.testing.assert_allclose(scale[0], np.sqrt(wiener[0]), rtol=1e-5)
  np.testing.assert_allclose(scale[1], np.sqrt(1e-3 * wiener[0]), rtol=1e-5)
  weight = np.asarray(mixture_base.loss_weight(variance, sigma, stddev))
  np.testing.assert_allclose(weight[0], 1 / wiener.mean(), rtol=1e-5)
  np.testing.assert_allclose(weight[1], weight[0] / 0.03, rtol=1e-5)
