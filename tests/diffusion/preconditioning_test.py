import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import (
  losses,
  preconditioning,
  predictions,
  processes,
)

SIGMA = jnp.array([0.01, 0.3, 1.0, 20.0])


def test_edm_keeps_input_and_target_at_unit_variance():
  # Gaussian data of deviation s in each component, where all is known.
  s = jnp.array([[5.0, 0.5, 0.01]])
  c = preconditioning.edm_coefficients(SIGMA, s)
  level = SIGMA[:, None]
  np.testing.assert_allclose(c.c_in**2 * (s**2 + level**2), 1, rtol=1e-5)
  # Target (x0 - c_skip x) / c_out: variance of x0 (1 - c_skip) - c_skip sigma.
  variance = (s * (1 - c.c_skip)) ** 2 + (c.c_skip * level) ** 2
  np.testing.assert_allclose(variance / c.c_out**2, 1, rtol=1e-3)
  # A network that says 0 leaves the Wiener filter.
  np.testing.assert_allclose(c.c_skip, s**2 / (s**2 + level**2), rtol=1e-5)


def test_edm_weight_makes_the_networks_error_weigh_one():
  s = jnp.array([[2.0, 0.1]])
  c = preconditioning.edm_coefficients(SIGMA, s)
  weight = losses.edm_weight(SIGMA, s)
  np.testing.assert_allclose(weight * c.c_out**2, 1, rtol=1e-4)


@pytest.mark.parametrize('name', ['vp_linear', 'vp_cosine'])
def test_vp_with_v_is_edm_with_unit_data(name):
  # Salimans & Ho's v is, up to its sign, Karras et al.'s choice at sigma_data
  # 1.
  process = getattr(processes, f'{name}_process')()
  sigma = jnp.array([0.05, 0.3, 1.0, 5.0])
  v = preconditioning.process_coefficients(sigma, process, predictions.v_to_x0)
  edm = preconditioning.edm_coefficients(sigma, jnp.ones((1, 1)))
  np.testing.assert_allclose(v.c_skip, edm.c_skip, rtol=1e-3)
  np.testing.assert_allclose(v.c_out, -edm.c_out, rtol=1e-3)
  np.testing.assert_allclose(v.c_in, edm.c_in, rtol=1e-3)


@pytest.mark.parametrize('name', ['vp_linear', 've', 'edm'])
def test_eps_has_the_coefficients_of_karras_table_1(name):
  process = getattr(processes, f'{name}_process')()
  c = preconditioning.process_coefficients(SIGMA, process)
  c_in = 1 / np.sqrt(1 + SIGMA**2) if name == 'vp_linear' else np.ones(4)
  np.testing.assert_allclose(c.c_skip[:, 0], 1, rtol=1e-5)
  np.testing.assert_allclose(c.c_out[:, 0], -SIGMA, rtol=1e-3)
  np.testing.assert_allclose(c.c_in[:, 0], c_in, rtol=1e-3)


@pytest.mark.parametrize(
  ('from_x0', 'to_x0'),
  [
    (predictions.x0_to_eps, predictions.eps_to_x0),
    (predictions.x0_to_v, predictions.v_to_x0),
    (predictions.x0_to_score, predictions.score_to_x0),
    (predictions.x0_to_velocity, predictions.velocity_to_x0),
    (predictions.x0_to_x0, predictions.x0_to_x0),
  ],
)
@pytest.mark.parametrize(
  'name', ['edm', 've', 'vp_linear', 'vp_cosine', 'flow']
)
def test_a_perfect_network_makes_a_perfect_denoiser(name, from_x0, to_x0):
  process = getattr(processes, f'{name}_process')()
  sigma = jnp.array([0.05, 0.5, 3.0])
  time = process.time(sigma)
  alpha, own_sigma = process.alpha(time), process.sigma(time)
  x0 = jax.random.normal(jax.random.key(0), (3, 4))
  eps = jax.random.normal(jax.random.key(1), (3, 4))
  x = x0 + sigma[:, None] * eps

  def perfect_network_fn(inputs, c_noise):
    np.testing.assert_allclose(inputs, alpha[:, None] * x, rtol=1e-5)
    np.testing.assert_allclose(c_noise, jnp.log(sigma) / 4, rtol=1e-5)
    return from_x0(x0, alpha[:, None] * x, alpha, own_sigma)

  coefficients = preconditioning.process_coefficients(sigma, process, to_x0)
  denoised = preconditioning.apply_coefficients(
    coefficients, perfect_network_fn, x
  )
  np.testing.assert_allclose(denoised, x0, atol=2e-3)
