"""Langevin dynamics of a Gaussian, whose moments follow a recursion exactly."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import processes, schedules
from internal_diffusion.sampling import langevin, sde, steps

MEAN, STD = 0.4, 0.5
denoise_fn = GaussianDenoiser.create([MEAN], [[STD**2]])
NUM = 20_000


def test_moments_follow_their_recursion():
  # With c = a / (2 V), where V = STD^2 + sigma^2: the mean's error is
  # multiplied by 1 - c, the variance v becomes (1 - c)^2 v + a.
  sigma, step_size, mean, variance = 0.8, 0.6, 3.0, 0.0
  a = step_size * sigma**2
  c = a / 2 / (STD**2 + sigma**2)
  for _ in range(3):
    mean = MEAN + (1 - c) * (mean - MEAN)
    variance = (1 - c) ** 2 * variance + a
  found = langevin.langevin_steps(
    jax.random.key(0),
    jnp.full((NUM, 1), 3.0),
    jnp.float32(sigma),
    denoise_fn,
    num=3,
    step_size=step_size,
  )
  assert abs(found.mean() - mean) < 5 * np.sqrt(variance / NUM)
  np.testing.assert_allclose(found.var(), variance, rtol=0.03)


def test_the_signal_to_noise_form_is_a_step_size():
  # With x0 = 0 and x = sigma eps, |score| = |eps| / sigma = |z| / sigma: the
  # step size is 4 snr^2.
  x = 0.5 * jax.random.normal(jax.random.key(1), (NUM, 1))
  run = functools.partial(
    langevin.langevin_steps,
    jax.random.key(2),
    x,
    jnp.float32(0.5),
    lambda x, sigma: jnp.zeros_like(x),
    num=1,
  )
  np.testing.assert_allclose(
    run(snr=0.16), run(step_size=4 * 0.16**2), rtol=0.03, atol=0.02
  )


def test_the_step_size_keeps_the_variance_of_noise():
  size = langevin.langevin_step_size(ratio=1.5, num=8)
  start = 1.5 * 0.3 * jax.random.normal(jax.random.key(1), (NUM, 1))
  found = langevin.langevin_steps(
    jax.random.key(2),
    start,
    jnp.float32(0.3),
    lambda x, sigma: jnp.zeros_like(x),
    num=8,
    step_size=size,
  )
  # No step size keeps it better: the best of 8 steps is 10% too much.
  variances = [
    langevin_variance(s, 1.5, 8) for s in (size, 0.9 * size, 1.1 * size)
  ]
  assert min(variances) == variances[0]
  np.testing.assert_allclose(found.var() / 0.3**2, variances[0], rtol=0.03)


def langevin_variance(step_size, ratio, num):
  variance = ratio**2
  for _ in range(num):
    variance = (1 - step_size / 2) ** 2 * variance + step_size
  return variance


SAMPLERS = {
  'langevin': functools.partial(
    langevin.sample_langevin, num_corrections=20, step_size=0.3
  ),
  'langevin_snr': functools.partial(
    langevin.sample_langevin, num_corrections=20, snr=0.16
  ),
  'predictor_corrector': functools.partial(
    langevin.sample_predictor_corrector, snr=0.16
  ),
  'of_a_process': functools.partial(
    langevin.sample_predictor_corrector,
    predictor=functools.partial(
      sde.reverse_diffusion_step, process=processes.vp_linear_process()
    ),
    step_size=0.3,
  ),
}


@pytest.mark.parametrize('name', SAMPLERS)
def test_samplers_draw_the_gaussian(name):
  sigmas = schedules.exponential_sigmas(60, sigma_max=20.0, sigma_min=0.01)
  x = sigmas[0] * jax.random.normal(jax.random.key(1), (NUM, 1))
  found = SAMPLERS[name](jax.random.key(2), denoise_fn, x, sigmas)
  assert abs(found.mean() - MEAN) < 0.02
  np.testing.assert_allclose(found.std(), STD, rtol=0.04)


def test_a_path_that_rises_and_keys_for_each_sample():
  sigmas = jnp.array([3.0, 1.0, 0.3, 2.0, 0.5, 0.1, 0.0])
  x = 3.0 * jax.random.normal(jax.random.key(1), (4, 1))
  keys = jax.random.split(jax.random.key(2), 4)
  run = functools.partial(
    langevin.sample_predictor_corrector, step_size=0.2, num_corrections=2
  )
  whole = run(keys, denoise_fn, x, sigmas)
  part = run(keys[1:3], denoise_fn, x[1:3], sigmas)
  np.testing.assert_allclose(part, whole[1:3], rtol=1e-5)


def test_each_level_has_its_evaluations_and_the_last_the_clean_estimate():
  levels = []

  def recorded(x, sigma):
    jax.debug.callback(lambda s: levels.append(round(float(s), 3)), sigma)
    return jnp.zeros_like(x)

  found = langevin.sample_langevin(
    jax.random.key(0),
    recorded,
    jnp.ones((2, 1)),
    jnp.array([2.0, 1.0, 0.0]),
    num_corrections=3,
    step_size=0.1,
  )
  jax.effects_barrier()
  assert sorted(levels) == [1.0] * 4 + [2.0] * 3
  np.testing.assert_array_equal(found, 0)
  levels.clear()
  langevin.sample_predictor_corrector(
    jax.random.key(0),
    recorded,
    jnp.ones((2, 1)),
    jnp.array([2.0, 1.0, 0.0]),
    predictor=steps.euler_step,
    snr=0.1,
  )
  jax.effects_barrier()
  assert sorted(levels) == [1.0] * 2 + [2.0]


@pytest.mark.parametrize(
  ('options', 'name'),
  [
    ({}, 'step_size'),
    ({'step_size': 0.1, 'snr': 0.1}, 'step_size'),
    ({'step_size': 5.0}, 'step_size'),
    ({'snr': 0.0}, 'snr'),
    ({'snr': 0.1, 'num_corrections': 0}, 'num_corrections'),
  ],
)
def test_bad_options_are_named(options, name):
  for sampler in (
    langevin.sample_langevin,
    langevin.sample_predictor_corrector,
  ):
    with pytest.raises(ValueError, match=name):
      sampler(
        jax.random.key(0),
        denoise_fn,
        jnp.ones((1, 1)),
        jnp.array([1.0, 0.0]),
        **options,
      )
