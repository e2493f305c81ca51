import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import processes

PROCESSES = {
  'edm': processes.edm_process(),
  've': processes.ve_process(),
  'vp_linear': processes.vp_linear_process(),
  'vp_cosine': processes.vp_cosine_process(),
  'flow': processes.flow_process(),
}
each_process = pytest.mark.parametrize(
  'process', PROCESSES.values(), ids=PROCESSES.keys()
)


@each_process
def test_time_inverts_noise_level(process):
  times = jnp.linspace(0.01, 1.0, 100) * process.max_time
  levels = processes.noise_level(process, times)
  np.testing.assert_allclose(process.time(levels), times, rtol=2e-4)


@each_process
def test_noise_level_increases(process):
  times = jnp.linspace(0.001, 1.0, 200) * process.max_time
  assert (np.diff(processes.noise_level(process, times)) > 0).all()


@pytest.mark.parametrize('name', ['vp_linear', 'vp_cosine'])
def test_variance_is_preserved(name):
  process = PROCESSES[name]
  times = jnp.linspace(0, process.max_time, 50)
  total = process.alpha(times) ** 2 + process.sigma(times) ** 2
  np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_linear_beta_matches_its_integral_by_quadrature():
  # alpha = exp(-1/2 int beta), beta(t) = 0.1 + 19.9 t, by Simpson's rule, which
  # is exact for it.
  process = PROCESSES['vp_linear']
  t = 0.7
  beta = [0.1 + 19.9 * s for s in (0, t / 2, t)]
  integral = t / 6 * (beta[0] + 4 * beta[1] + beta[2])
  np.testing.assert_allclose(
    process.alpha(jnp.float32(t)), np.exp(-integral / 2), rtol=1e-5
  )


@each_process
def test_unit_scale_round_trip(process):
  x = jax.random.normal(jax.random.key(0), (3, 4, 2))
  time = jnp.array([0.1, 0.5, 0.9]) * process.max_time
  unit = processes.to_unit_scale(process, x, time)
  back = processes.from_unit_scale(process, unit, time)
  np.testing.assert_allclose(back, x, rtol=1e-5)


@each_process
def test_added_noise_has_the_stated_moments(process):
  time = jnp.float32(0.4 * process.max_time)
  x0 = jnp.full((40_000, 1), 0.5)
  x = processes.add_noise(jax.random.key(1), process, x0, time)
  alpha, sigma = process.alpha(time), process.sigma(time)
  error = sigma / np.sqrt(40_000)
  assert abs(x.mean() - 0.5 * alpha) < 4 * error
  np.testing.assert_allclose(x.std(), sigma, rtol=0.02)


@pytest.mark.parametrize(
  'make',
  [
    lambda: processes.ve_process(sigma_min=0.0),
    lambda: processes.vp_linear_process(beta_min=30.0),
    lambda: processes.vp_cosine_process(max_time=1.0),
    lambda: processes.flow_process(max_time=1.0),
  ],
)
def test_refuses_ranges_where_the_level_is_infinite(make):
  with pytest.raises(ValueError, match='must be in'):
    make()
