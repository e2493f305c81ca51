"""Drift and diffusion against the formulas of Song et al. 2021."""

import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import processes, sdes

TIMES = jnp.linspace(0.0, 1.0, 21)
BETA = 0.1 + 19.9 * TIMES
INTEGRAL = 0.1 * TIMES + 19.9 * TIMES**2 / 2


def test_variance_preserving():
  drift, diffusion = sdes.drift_and_diffusion(
    processes.vp_linear_process(), TIMES
  )
  np.testing.assert_allclose(drift, -BETA / 2, rtol=3e-3)
  np.testing.assert_allclose(diffusion**2, BETA, rtol=3e-3)


def test_sub_variance_preserving():
  process = processes.sub_vp_process()
  drift, diffusion = sdes.drift_and_diffusion(process, TIMES[1:])
  np.testing.assert_allclose(drift, -BETA[1:] / 2, rtol=1e-4)
  squares = BETA * (1 - jnp.exp(-2 * INTEGRAL))
  np.testing.assert_allclose(diffusion**2, squares[1:], rtol=1e-4)
  vp = processes.vp_linear_process()
  assert (process.sigma(TIMES[1:-1]) < vp.sigma(TIMES[1:-1])).all()


def test_variance_exploding():
  process = processes.ve_process(sigma_min=0.01, sigma_max=50.0)
  drift, diffusion = sdes.drift_and_diffusion(process, TIMES)
  np.testing.assert_array_equal(drift, 0)
  expected = process.sigma(TIMES) * np.sqrt(2 * np.log(5000))
  np.testing.assert_allclose(diffusion, expected, rtol=1e-4)


@pytest.mark.parametrize(
  'process',
  [
    processes.edm_process(),
    processes.vp_cosine_process(),
    processes.sub_vp_process(),
    processes.flow_process(),
  ],
  ids=['edm', 'vp_cosine', 'sub_vp', 'flow'],
)
def test_moments_solve_the_equation(process):
  # d(alpha)/dt = f alpha and d(sigma^2)/dt = 2 f sigma^2 + g^2, by differences.
  times, step = jnp.linspace(0.1, 0.9, 9) * process.max_time, 1e-3
  drift, diffusion = sdes.drift_and_diffusion(process, times)

  def slope(function):
    return (function(times + step) - function(times - step)) / (2 * step)

  alpha, variance = process.alpha(times), process.sigma(times) ** 2
  np.testing.assert_allclose(
    slope(process.alpha), drift * alpha, rtol=2e-3, atol=1e-4
  )
  np.testing.assert_allclose(
    slope(lambda t: process.sigma(t) ** 2),
    2 * drift * variance + diffusion**2,
    rtol=5e-3,
    atol=2e-3,
  )
