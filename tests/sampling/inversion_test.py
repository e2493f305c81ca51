"""Encoding against the exact flow of a Gaussian, and there and back again."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling import inversion, samplers
from internal_diffusion.types import Condition

GAUSSIAN = GaussianDenoiser.create([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])
SIGMAS = karras_sigmas(60, sigma_max=40.0, rho=5.0)


def test_encoding_is_the_exact_flow_upward():
  x0 = jnp.array([[0.3, 0.2], [-1.0, 2.0], [0.5, -1.0]])
  encoded = inversion.encode(GAUSSIAN, x0, SIGMAS)
  # The flow from the encoding ends in x0.
  back = GAUSSIAN.flow(encoded, SIGMAS[0])
  np.testing.assert_allclose(back, x0, atol=1.5e-2)
  # The mean stays where it is.
  np.testing.assert_allclose(encoded[2], x0[2], atol=1e-4)


def test_encodings_of_samples_are_normal():
  draws = jax.random.normal(jax.random.key(0), (4000, 2))
  factor = np.linalg.cholesky([[1.0, 0.6], [0.6, 0.5]])
  x0 = jnp.array([[0.5, -1.0]]) + draws @ jnp.asarray(factor.T, jnp.float32)
  noise = inversion.encode(GAUSSIAN, x0, SIGMAS) / SIGMAS[0]
  np.testing.assert_allclose(np.cov(noise.T), np.eye(2), atol=0.07)


def test_decoding_inverts_encoding_with_a_condition():
  def shifted(x, sigma, cond):
    return GAUSSIAN(x - cond.vector, sigma) + cond.vector

  x0 = jax.random.normal(jax.random.key(1), (5, 2))
  cond = Condition(vector=jnp.full((5, 2), 0.7))
  encoded = inversion.encode(shifted, x0, SIGMAS, cond=cond)
  decoded = inversion.decode(shifted, encoded, SIGMAS, cond=cond)
  np.testing.assert_allclose(decoded, x0, atol=5e-3)
  # A sampler takes an encoding as its noise.
  drawn = samplers.sample_heun(
    jax.random.key(0), shifted, encoded, SIGMAS, cond=cond
  )
  np.testing.assert_allclose(drawn, x0, atol=5e-3)


def test_interpolation_follows_the_great_circle():
  first, second = jax.random.normal(jax.random.key(2), (2, 3, 4, 5))
  between = inversion.spherical_interpolation
  np.testing.assert_allclose(between(first, second, 0.0), first, atol=1e-6)
  np.testing.assert_allclose(between(first, second, 1.0), second, atol=1e-6)
  # Unit vectors stay unit vectors, and equal fractions are equal angles.
  units = [
    v / jnp.linalg.norm(v, axis=(1, 2))[:, None, None] for v in (first, second)
  ]
  third = between(*units, 1 / 3)
  np.testing.assert_allclose(jnp.sum(third**2, axis=(1, 2)), 1, rtol=1e-5)
  half = between(units[0], between(*units, 2 / 3), 0.5)
  np.testing.assert_allclose(half, third, atol=1e-5)


def test_interpolation_of_parallel_samples_is_a_line():
  first = jnp.array([[1.0, 2.0], [0.0, 0.0], [1.0, 0.0]])
  second = jnp.array([[3.0, 6.0], [0.0, 0.0], [1.0, 1e-6]])
  found = inversion.spherical_interpolation(first[:1], second[:1], 0.25)
  np.testing.assert_allclose(found, [[1.5, 3.0]], rtol=1e-5)
  found = inversion.spherical_interpolation(
    first[2:], second[2:], jnp.array([0.5])
  )
  np.testing.assert_allclose(found, [[1.0, 5e-7]], atol=1e-7)
