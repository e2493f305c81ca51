"""Moments and frequencies of mixtures, by other ways."""

import jax
import numpy as np

from internal_diffusion.experiments import mixtures, samplers


def test_moments_are_those_of_exact_draws():
  mixture = mixtures.three_modes()
  draws = mixtures.draw(jax.random.key(0), mixture, 50_000)
  mean, covariance = mixtures.moments(mixture)
  np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
  np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.02)
  fit = mixtures.fit_of(mixture, draws)
  assert fit.moments < 0.02
  assert fit.weights < 0.01


def test_errors_of_moments_and_weights_are_found():
  mixture = mixtures.three_modes()
  draws = mixtures.draw(jax.random.key(0), mixture, 20_000)
  _, covariance = mixtures.moments(mixture)
  # Moved by a tenth of the root of the covariance's trace.
  moved = draws + np.array([0.1 * np.sqrt(np.trace(covariance)), 0])
  assert abs(mixtures.fit_of(mixture, moved).moments - 0.1) < 0.02
  # Without the component of weight 0.2.
  kept = draws[draws[:, 1] < 0.3]
  assert abs(mixtures.fit_of(mixture, kept).weights - 0.2) < 0.02


def test_every_sampler_has_its_cost():
  for name, case in samplers.cases().items():
    path = case.path(4)
    assert path.shape == (5,), name
    assert path[-1] == 0, name
    assert case.per_step >= 1
