import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data.pointwise import make_masking
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import processes, schedules
from internal_diffusion.sampling import loop, samplers, steps
from internal_diffusion.sampling.constraints import (
  Constraint,
  LinearObservation,
)
from internal_diffusion.types import Condition

MEAN = np.array([0.5, -1.0])
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.5]])
denoise_fn = GaussianDenoiser.create(MEAN, COVARIANCE)

SAMPLERS = {
  'euler': samplers.sample_euler,
  'heun': samplers.sample_heun,
  'churn': functools.partial(samplers.sample_heun, s_churn=20.0),
  'ddim': samplers.sample_ddim,
  'ddim_half': functools.partial(samplers.sample_ddim, eta=0.5),
  'ddpm': samplers.sample_ddpm,
  'euler_maruyama': samplers.sample_euler_maruyama,
}
STOCHASTIC = ['churn', 'ddim_half', 'ddpm', 'euler_maruyama']


def order_of_convergence(sampler):
  """Slope of the log error over the log step, in float64."""
  x = MEAN[None] + jnp.array([[1.0, 2.0], [-3.0, 0.5]])
  sigma_max, errors, counts = 2.0, [], [16, 32, 64, 128]
  parts = (MEAN, *np.linalg.eigh(COVARIANCE))
  exact_fn = GaussianDenoiser(*map(jnp.asarray, parts))
  exact = exact_fn.flow(x, sigma_max)
  for count in counts:
    # The last step of any sampler to level 0 is the denoiser's, which is only
    # first order; a grid whose last level shrinks as 1/count^3 keeps its error
    # below that of all others.
    sigmas = jnp.append(
      jnp.linspace(sigma_max, 0, count, endpoint=False), count**-3.0
    )
    sigmas = jnp.append(sigmas, 0.0)
    found = jax.jit(lambda key, s: sampler(key, exact_fn, x, s))(
      jax.random.key(0), sigmas
    )
    errors.append(float(abs(found - exact).max()))
  return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


@pytest.mark.parametrize(
  ('name', 'order'), [('euler', 1), ('ddim', 1), ('heun', 2)]
)
def test_order_of_convergence(name, order):
  with jax.enable_x64(True):
    measured = order_of_convergence(SAMPLERS[name])
  assert abs(measured - order) < 0.15, measured


@pytest.mark.parametrize('name', SAMPLERS)
def test_gaussian_is_sampled_with_its_mean_and_covariance(name):
  num = 20_000
  sigmas = schedules.karras_sigmas(1000, sigma_max=40.0, sigma_min=0.005)
  noise_key, key = jax.random.split(jax.random.key(1))
  x = sigmas[0] * jax.random.normal(noise_key, (num, 2))
  found = SAMPLERS[name](key, denoise_fn, x, sigmas)
  spread = np.sqrt(np.diag(COVARIANCE) / num)
  assert (abs(found.mean(axis=0) - MEAN) < 5 * spread).all()
  np.testing.assert_allclose(np.cov(found.T), COVARIANCE, atol=0.03)


@pytest.mark.parametrize(
  'process',
  [
    processes.edm_process(),
    processes.ve_process(),
    processes.vp_linear_process(),
    processes.vp_cosine_process(),
    processes.flow_process(),
  ],
  ids=['edm', 've', 'vp_linear', 'vp_cosine', 'flow'],
)
def test_every_process_samples_the_gaussian_on_its_own_grid(process):
  num = 20_000
  sigmas = schedules.process_sigmas(1000, process)
  noise_key, key = jax.random.split(jax.random.key(2))
  # In the process's own coordinate the start is N(0, sigma^2); the unit scale
  # divides by alpha.
  time = jnp.float32(process.max_time)
  start = process.sigma(time) * jax.random.normal(noise_key, (num, 2))
  x = processes.to_unit_scale(process, start, time)
  found = samplers.sample_heun(key, denoise_fn, x, sigmas)
  spread = np.sqrt(np.diag(COVARIANCE) / num)
  assert (abs(found.mean(axis=0) - MEAN) < 5 * spread).all()
  np.testing.assert_allclose(np.cov(found.T), COVARIANCE, atol=0.03)


@pytest.fixture
def setup():
  sigmas = schedules.karras_sigmas(12, sigma_max=10.0)
  key, noise_key = jax.random.split(jax.random.key(3))
  x = sigmas[0] * jax.random.normal(noise_key, (5, 2))
  return key, x, sigmas


def test_ddim_without_fresh_noise_is_euler(setup):
  key, x, sigmas = setup
  euler = samplers.sample_euler(key, denoise_fn, x, sigmas)
  ddim = samplers.sample_ddim(key, denoise_fn, x, sigmas, eta=0.0)
  np.testing.assert_allclose(ddim, euler, rtol=1e-4, atol=1e-5)


def test_ddpm_is_ddim_with_eta_one_and_has_the_posterior_variance(setup):
  key, x, sigmas = setup
  ddpm = samplers.sample_ddpm(key, denoise_fn, x, sigmas)
  ddim = samplers.sample_ddim(key, denoise_fn, x, sigmas, eta=1.0)
  np.testing.assert_array_equal(ddpm, ddim)
  # One step from 2 to 1 with x0 known: N(x0 + (x - x0)/4, 1 * (1 - 1/4)).
  many = jnp.full((50_000, 1), 3.0)
  states = samplers.sample_ddpm(
    key,
    lambda x, sigma: jnp.full_like(x, 1.0),
    many,
    jnp.array([2.0, 1.0, 0.0]),
    return_trajectory=True,
  )
  np.testing.assert_allclose(states[1].mean(), 1.5, atol=0.02)
  np.testing.assert_allclose(states[1].var(), 0.75, rtol=0.02)


@pytest.mark.parametrize('sigma_max', [5.0, 80.0, 1e4])
def test_a_large_last_step_gives_the_posterior_mean(sigma_max):
  # Where sigma_next / sigma is tiny, all noise is fresh up to rounding.
  sigmas = schedules.karras_sigmas(2, sigma_max=sigma_max)
  x = sigmas[0] * jax.random.normal(jax.random.key(0), (100, 2))
  found = samplers.sample_ddpm(jax.random.key(1), denoise_fn, x, sigmas)
  expected = denoise_fn(x, sigmas[0])
  np.testing.assert_allclose(found, expected, atol=6 * float(sigmas[1]))


def test_no_churn_is_heun(setup):
  key, x, sigmas = setup
  heun = samplers.sample_heun(key, denoise_fn, x, sigmas)
  outside = samplers.sample_heun(
    key, denoise_fn, x, sigmas, s_churn=20.0, s_tmin=1e3
  )
  np.testing.assert_allclose(outside, heun, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', SAMPLERS)
def test_same_key_same_samples(name, setup):
  key, x, sigmas = setup
  sampler = SAMPLERS[name]
  first = sampler(key, denoise_fn, x, sigmas)
  np.testing.assert_array_equal(first, sampler(key, denoise_fn, x, sigmas))
  other = sampler(jax.random.key(9), denoise_fn, x, sigmas)
  assert (np.asarray(other) != first).any() == (name in STOCHASTIC)


@pytest.mark.parametrize('name', STOCHASTIC)
def test_a_key_a_sample_makes_samples_independent_of_the_batch(name, setup):
  _, x, sigmas = setup
  keys = jax.random.split(jax.random.key(4), 5)
  whole = SAMPLERS[name](keys, denoise_fn, x, sigmas)
  part = SAMPLERS[name](keys[1:3], denoise_fn, x[1:3], sigmas)
  np.testing.assert_allclose(part, whole[1:3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', SAMPLERS)
def test_trajectory_runs_from_the_start_to_the_result(name, setup):
  key, x, sigmas = setup
  sampler = SAMPLERS[name]
  states = sampler(key, denoise_fn, x, sigmas, return_trajectory=True)
  assert states.shape == (len(sigmas), *x.shape)
  np.testing.assert_array_equal(states[0], x)
  np.testing.assert_allclose(
    states[-1], sampler(key, denoise_fn, x, sigmas), rtol=1e-6
  )


@flax.struct.dataclass
class FirstIs(Constraint):
  """The first component is known."""

  value: float

  def project(self, key, denoised, x, sigma):
    return denoised.at[:, 0].set(self.value)


@flax.struct.dataclass
class Recorder(Constraint):
  """Returns the noise that its key gives, scaled by sigma and x."""

  def project(self, key, denoised, x, sigma):
    return sigma * x + jax.random.normal(key, x.shape)


@pytest.mark.parametrize('name', SAMPLERS)
def test_a_constraint_on_the_clean_estimate_holds_in_the_result(name, setup):
  key, x, sigmas = setup
  found = SAMPLERS[name](
    key, denoise_fn, x, sigmas, constraints=[FirstIs(0.25)]
  )
  np.testing.assert_allclose(found[:, 0], 0.25, atol=1e-5)


def test_constraints_receive_the_noisy_x_and_a_key_of_their_own(setup):
  key, x, _ = setup
  sigmas = jnp.array([2.0, 0.0])
  found = samplers.sample_euler(
    key, denoise_fn, x, sigmas, constraints=[FirstIs(1.0), Recorder()]
  )
  own = functools.reduce(jax.random.fold_in, (0, 0, 1), key)
  wanted = 2 * x + jax.random.normal(own, x.shape)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_condition_is_bound(setup):
  key, x, sigmas = setup

  def conditional(x, sigma, cond):
    return jnp.broadcast_to(cond.vector, x.shape)

  cond = Condition(vector=jnp.array([[0.5, -0.5]]))
  found = samplers.sample_heun(key, conditional, x, sigmas, cond=cond)
  np.testing.assert_allclose(found, cond.vector.repeat(5, 0), atol=1e-5)


# Paths that rise.


@pytest.mark.parametrize('name', SAMPLERS)
def test_a_path_that_rises_keeps_the_distribution(name):
  num = 20_000
  down = schedules.karras_sigmas(300, sigma_max=40.0, sigma_min=0.005)
  below = down[down < 3.0]
  # Once from the middle, once from 0.
  sigmas = jnp.concatenate([down[down > 0.5], below, below])
  assert (jnp.diff(sigmas) > 0).sum() == 2
  noise_key, key = jax.random.split(jax.random.key(1))
  x = sigmas[0] * jax.random.normal(noise_key, (num, 2))
  found = SAMPLERS[name](key, denoise_fn, x, sigmas)
  spread = np.sqrt(np.diag(COVARIANCE) / num)
  assert (abs(found.mean(axis=0) - MEAN) < 5 * spread).all()
  np.testing.assert_allclose(np.cov(found.T), COVARIANCE, atol=0.04)


@pytest.mark.parametrize('low', [0.0, 0.5])
def test_a_rise_is_the_forward_process(low):
  x = jnp.full((50_000, 1), 3.0)
  states = samplers.sample_heun(
    jax.random.key(0),
    lambda x, sigma: jnp.zeros_like(x),
    x,
    jnp.array([low, 2.0, 0.0]),
    return_trajectory=True,
  )
  np.testing.assert_allclose(states[1].mean(), 3.0, atol=0.05)
  np.testing.assert_allclose(states[1].var(), 4 - low**2, rtol=0.03)
  np.testing.assert_array_equal(states[2], 0)


def test_without_rises_the_steps_are_unchanged_bit_for_bit(setup):
  key, x, sigmas = setup
  for name, step_fn in [
    ('euler', steps.euler_step),
    ('heun', steps.heun_step),
    ('ddpm', functools.partial(steps.ddim_step, eta=1.0)),
    ('euler_maruyama', steps.euler_maruyama_step),
  ]:
    found = SAMPLERS[name](key, denoise_fn, x, sigmas)
    plain = loop.scan_sigmas(key, step_fn, denoise_fn, x, sigmas)
    np.testing.assert_array_equal(found, plain)


def test_option_ranges(setup):
  key, x, sigmas = setup
  with pytest.raises(ValueError, match='eta'):
    samplers.sample_ddim(key, denoise_fn, x, sigmas, eta=1.5)
  with pytest.raises(ValueError, match='s_churn'):
    samplers.sample_heun(key, denoise_fn, x, sigmas, s_churn=-1.0)


def test_a_restoring_step_is_the_clean_estimate_whatever_comes_next():
  x = jnp.array([[1.0, 2.0], [-3.0, 0.5]])
  for sigma_next in (0.0, 0.3):
    found = steps.denoise_step(
      jax.random.key(0),
      x,
      jnp.float32(0.7),
      jnp.float32(sigma_next),
      denoise_fn,
    )
    np.testing.assert_array_equal(found, denoise_fn(x, jnp.float32(0.7)))


@pytest.mark.parametrize('noise_std', [0.0, 0.4])
def test_half_quadratic_splitting_finds_the_most_probable_image(noise_std):
  # At a constant level sigma it minimises |y - A x|^2 / s^2 plus the cost of x
  # under the prior blurred by sigma, N(m, C + sigma^2 I): a linear system.
  height, width, sigma = 3, 4, 0.5
  rng = np.random.default_rng(0)
  place = np.indices((height, width)).reshape(2, -1).T
  distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
  covariance, mean = np.exp(-distance / 3), rng.normal(size=len(place))
  prior = GaussianDenoiser.create(mean, covariance)
  seen = np.arange(len(place)) % 3 > 0
  y = rng.normal(size=len(place))[seen]
  blurred = covariance + sigma**2 * np.eye(len(place))
  inside = blurred[np.ix_(seen, seen)] + noise_std**2 * np.eye(seen.sum())
  gain = np.linalg.solve(inside, blurred[seen]).T
  wanted = mean + gain @ (y - mean[seen])

  shape = (height, width, 1)
  observation = np.zeros(len(place), np.float32)
  observation[seen] = y
  constraint = LinearObservation(
    make_masking(seen.reshape(height, width)),
    jnp.asarray(observation.reshape(shape)),
    noise_std,
  )

  def image_fn(x, sigma):
    return prior(x.reshape(len(x), -1), sigma).reshape(x.shape)

  path = jnp.append(jnp.full(200, sigma), 0.0)
  for start in (0.0, 3.0):
    found = samplers.restore_half_quadratic(
      jax.random.key(0),
      image_fn,
      jnp.full((1, *shape), start),
      path,
      constraints=[constraint],
    )
    np.testing.assert_allclose(found.reshape(-1), wanted, atol=1e-4)
