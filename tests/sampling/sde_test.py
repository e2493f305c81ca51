"""Forward and reverse equations against their moments, known for a Gaussian."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import processes, schedules, sdes
from internal_diffusion.sampling import sde, steps

PROCESSES = {
  'vp': processes.vp_linear_process(),
  'sub_vp': processes.sub_vp_process(),
  've': processes.ve_process(sigma_min=0.01, sigma_max=20.0),
}
each_process = pytest.mark.parametrize(
  'process', PROCESSES.values(), ids=PROCESSES.keys()
)
MEAN, STD = 0.4, 0.5
denoise_fn = GaussianDenoiser.create([MEAN], [[STD**2]])


@each_process
def test_forward_simulation_has_the_marginals(process):
  x0 = jnp.full((20_000, 1), 0.7)
  # From where sigma is no longer 0; even times are fine enough.
  times = jnp.linspace(0.02, 0.6, 300)
  start = processes.add_noise(jax.random.key(0), process, x0, times[0])
  states = sde.simulate_forward(
    jax.random.key(1), process, start, times, return_trajectory=True
  )
  for index in (100, 299):
    alpha, sigma = process.alpha(times[index]), process.sigma(times[index])
    found = states[index]
    assert abs(found.mean() - 0.7 * alpha) < 5 * sigma / np.sqrt(20_000)
    np.testing.assert_allclose(found.std(), sigma, rtol=0.03)


@each_process
@pytest.mark.parametrize(
  'sampler', [sde.sample_reverse_sde, sde.sample_reverse_diffusion]
)
def test_reverse_samplers_draw_the_gaussian(process, sampler):
  num = 20_000
  sigmas = schedules.process_sigmas(300, process)
  x = sigmas[0] * jax.random.normal(jax.random.key(2), (num, 1))
  found = sampler(jax.random.key(3), denoise_fn, x, sigmas, process=process)
  assert abs(found.mean() - MEAN) < 0.02
  np.testing.assert_allclose(found.std(), STD, rtol=0.03)


def test_one_reverse_step_has_the_moments_of_its_equation():
  # Given x, a step is Gaussian: its mean and variance by the formulas of Song
  # et al. 2021, in the process's own coordinate, x0 being 0.
  process = PROCESSES['vp']
  time, time_next = jnp.float32(0.5), jnp.float32(0.48)
  levels = [processes.noise_level(process, t) for t in (time, time_next)]
  own = jnp.full((40_000, 1), 1.3)
  x = processes.to_unit_scale(process, own, time)
  f, g = sdes.drift_and_diffusion(process, time)
  variance = process.sigma(time) ** 2
  beta = 1 - (process.alpha(time) / process.alpha(time_next)) ** 2
  means = {
    sde.reverse_sde_step: 1.3 - (f * 1.3 + g**2 * 1.3 / variance) * 0.02,
    sde.reverse_diffusion_step: (
      (2 - jnp.sqrt(1 - beta)) * 1.3 - beta * 1.3 / variance
    ),
  }
  spreads = {
    sde.reverse_sde_step: g**2 * 0.02,
    sde.reverse_diffusion_step: beta,
  }
  for step_fn, mean in means.items():
    found = step_fn(
      jax.random.key(4), x, *levels, lambda x, s: 0 * x, process=process
    )
    found = processes.from_unit_scale(process, found, time_next)
    std = jnp.sqrt(spreads[step_fn])
    assert abs(found.mean() - mean) < 5 * std / 200
    np.testing.assert_allclose(found.std(), std, rtol=0.02)


def test_in_the_unit_scale_reverse_diffusion_is_euler_maruyama_of_variances():
  x = jnp.array([[1.0], [2.0]])
  key, sigma, sigma_next = jax.random.key(0), jnp.float32(2), jnp.float32(1.5)
  edm = processes.edm_process()
  found = sde.reverse_diffusion_step(
    key, x, sigma, sigma_next, denoise_fn, process=edm
  )
  same = steps.euler_maruyama_step(key, x, sigma, sigma_next, denoise_fn)
  np.testing.assert_allclose(found, same, rtol=1e-5)


@each_process
def test_the_last_step_is_the_clean_estimate(process):
  x = jnp.array([[1.0]])
  for step_fn in (sde.reverse_sde_step, sde.reverse_diffusion_step):
    step = functools.partial(step_fn, process=process)
    found = step(
      jax.random.key(0), x, jnp.float32(0.1), jnp.float32(0), denoise_fn
    )
    np.testing.assert_array_equal(found, denoise_fn(x, jnp.float32(0.1)))
