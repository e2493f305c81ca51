import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.diffusion import losses, processes


def test_strata_are_uniform_even_and_independent_of_the_cut():
  key = jax.random.key(3)
  whole = losses.stratified_uniform(key, jnp.arange(64), 64)
  parts = [
    losses.stratified_uniform(key, jnp.arange(i, i + 16), 64)
    for i in range(0, 64, 16)
  ]
  np.testing.assert_array_equal(whole, np.concatenate(parts))
  assert sorted((np.asarray(whole) * 64).astype(int)) == list(range(64))


def test_noise_levels_have_their_distributions():
  uniform = (jnp.arange(20_000) + 0.5) / 20_000
  sigma = losses.lognormal_sigma(uniform, mean=-1.2, std=1.2)
  normal = scipy.stats.kstest((np.log(sigma) + 1.2) / 1.2, 'norm')
  assert normal.statistic < 1e-3
  sigma = losses.loguniform_sigma(uniform, sigma_min=0.01, sigma_max=10.0)
  position = (np.log(sigma) - np.log(0.01)) / np.log(1000)
  assert scipy.stats.kstest(position, 'uniform').statistic < 1e-3
  process = processes.flow_process(max_time=0.9)
  time = process.time(losses.process_sigma(uniform, process)) / 0.9
  assert scipy.stats.kstest(time, 'uniform').statistic < 1e-3
  assert np.isfinite(
    losses.lognormal_sigma(jnp.array([0.0, 1.0]), mean=0, std=1)
  ).all()


@pytest.mark.parametrize('sigma', [0.1, 1.0, 10.0])
def test_posterior_mean_minimises_the_loss(sigma):
  # Data N(0, 1): the best linear denoiser c x has c = 1 / (1 + sigma^2) and the
  # loss sigma^2 / (1 + sigma^2).
  key_x0, key = jax.random.split(jax.random.key(0))
  x0 = jax.random.normal(key_x0, (4000, 8))
  levels = jnp.full(4000, sigma)
  weight = losses.uniform_weight(levels)

  def loss(c):
    values = losses.denoising_loss(
      key, lambda x, sigma, cond: c * x, x0, None, levels, weight
    )
    return values.mean()

  best = 1 / (1 + sigma**2)
  np.testing.assert_allclose(loss(best), sigma**2 * best, rtol=0.03)
  assert abs(jax.grad(loss)(best)) < 0.05 * (1 + sigma**2)
  assert loss(best) < min(loss(0.5 * best), loss(1.5 * best))


def test_eps_weight_and_its_bound():
  sigma = jnp.array([0.1, 1.0, 2.0])
  np.testing.assert_allclose(
    losses.snr_weight(sigma)[:, 0], [100, 1, 0.25], rtol=1e-5
  )
  np.testing.assert_allclose(
    losses.snr_weight(sigma, max_snr=5.0)[:, 0], [5, 1, 0.25], rtol=1e-5
  )


@pytest.mark.parametrize('sigma', [0.05, 0.7, 20.0])
def test_wiener_weight_gives_the_wiener_filter_a_loss_of_one(sigma):
  s = jnp.array([[5.0, 1.0, 0.2, 0.01]])
  key_x0, key = jax.random.split(jax.random.key(1))
  x0 = s * jax.random.normal(key_x0, (20_000, 4))
  levels = jnp.full(20_000, sigma)
  values = losses.denoising_loss(
    key,
    lambda x, sigma, cond: s**2 / (s**2 + sigma[:, None] ** 2) * x,
    x0,
    None,
    levels,
    losses.wiener_weight(levels, s),
  )
  np.testing.assert_allclose(values.mean(), 1, rtol=0.05)


def test_posterior_mean_as_target_has_the_same_minimum_and_less_variance():
  # x0 = +-1: E[x0 | x] = tanh(x / sigma^2), which is its own best fit.
  key_x0, key = jax.random.split(jax.random.key(2))
  x0 = jax.random.rademacher(key_x0, (5000, 1), jnp.float32)
  levels = jnp.full(5000, 0.8)

  def denoise(x, sigma):
    return jnp.tanh(x / sigma[:, None] ** 2)

  def loss(scale, target_fn=None):
    values = losses.denoising_loss(
      key,
      lambda x, sigma, cond: scale * denoise(x, sigma),
      x0,
      None,
      levels,
      losses.uniform_weight(levels),
      target_fn=target_fn,
    )
    return values.mean()

  assert loss(1.0, denoise) == 0
  assert loss(1.0) > 0.1
  np.testing.assert_allclose(jax.grad(loss)(1.0, denoise), 0, atol=1e-6)
  # Elsewhere the gradients agree in expectation.
  exact, plain = jax.grad(loss)(1.5, denoise), jax.grad(loss)(1.5)
  np.testing.assert_allclose(plain, exact, rtol=0.1)


def test_the_ladder_is_geometric_and_its_levels_equally_likely():
  uniform = (jnp.arange(400) + 0.5) / 400
  sigma = losses.ladder_sigma(
    uniform, sigma_min=0.01, sigma_max=10.0, num_levels=4
  )
  levels, counts = np.unique(np.asarray(sigma), return_counts=True)
  np.testing.assert_allclose(levels, [0.01, 0.1, 1, 10], rtol=1e-5)
  np.testing.assert_array_equal(counts, 100)


def test_score_matching_is_its_equation_and_has_the_score_as_minimiser():
  key, sigma = jax.random.key(0), jnp.array([0.5, 2.0, 3.0])
  x0 = jax.random.normal(jax.random.key(1), (3, 2))
  found = losses.score_matching_loss(
    key, lambda x, sigma, cond: -2 * x, x0, None, sigma
  )
  eps = jax.random.normal(key, (3, 2))
  x = x0 + sigma[:, None] * eps
  square = sigma[:, None] ** 2 * (-2 * x + eps / sigma[:, None]) ** 2
  np.testing.assert_allclose(found, square.mean(axis=-1), rtol=1e-4)

  # Of a standard normal, the score is -x / (1 + sigma^2).
  x0 = jax.random.normal(jax.random.key(2), (50_000, 1))
  sigma = jnp.full(50_000, 0.7)

  def loss(c):
    return losses.score_matching_loss(
      key, lambda x, sigma, cond: -c * x, x0, None, sigma
    ).mean()

  np.testing.assert_allclose(jax.grad(loss)(1 / 1.49), 0, atol=0.02)
