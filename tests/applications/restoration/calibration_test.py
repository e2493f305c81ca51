import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.restoration.calibration import (
  Attempt,
  calibrating_factor,
  learn_std,
)
from internal_diffusion.evaluation import sparsification

SIZE = (96, 128, 1)
# The error's standard deviation: 20 times larger at the right than at the left.
TRUE_STD = np.linspace(0.02, 0.4, SIZE[1])[None, :, None] * np.ones(SIZE)


def make_attempt(std, seed):
  """A flat picture restored with errors of a given standard deviation."""
  noise = np.random.default_rng(seed).standard_normal(std.shape)
  restored = jnp.asarray(std * noise, jnp.float32)
  # The damaged picture says nothing; the variance is half of the true one.
  return Attempt(restored, restored, jnp.asarray(std**2 / 2, jnp.float32))


def again(truth):
  own_std = TRUE_STD[::2, ::2]
  assert truth.shape == own_std.shape
  return jnp.zeros_like(truth), make_attempt(own_std, 1)


def test_the_variance_of_the_prior_is_scaled_to_the_errors():
  attempt = make_attempt(TRUE_STD, 0)
  std = learn_std(attempt, again, unseen=0.01)
  assert std.shape == SIZE
  error = np.abs(np.asarray(attempt.restored))
  covered = np.mean(error <= 1.6449 * std)
  assert 0.9 < covered < 0.98  # A little wide on purpose.
  best = sparsification.rank_correlation(TRUE_STD, error)
  assert sparsification.rank_correlation(std, error) > best - 0.05


@pytest.mark.parametrize('scale', [0.5, 2.0])
def test_factor_makes_the_interval_hold_90_percent(scale):
  errors = scale * np.random.default_rng(0).standard_normal(10_000)
  factor = calibrating_factor(errors, np.ones(10_000))
  np.testing.assert_allclose(factor, scale, rtol=0.05)
