"""Standard deviations and intervals from a few samples."""

import numpy as np
import pytest

from internal_diffusion.applications.super_resolution.uncertainty import (
  WIDENING,
  estimate_uncertainty,
)


def drawn(std, shape=(8, 60, 60, 1)):
  rng = np.random.default_rng(0)
  return (std * rng.normal(size=shape)).astype(np.float32)


def test_the_standard_deviation_is_that_of_the_samples_widened():
  mean = np.zeros((60, 60, 1), np.float32)
  found = estimate_uncertainty(mean, drawn(0.1))
  assert found.std.dtype == np.float32
  # Some hundred values in each window: 5% off at most in 99% of them.
  np.testing.assert_allclose(found.std.mean(), WIDENING * 0.1, rtol=0.02)
  assert found.std.std() < 0.1 * found.std.mean()


def test_intervals_hold_nine_tenths_of_gaussian_errors():
  mean = np.full((60, 60, 1), 0.2, np.float32)
  found = estimate_uncertainty(mean, mean + drawn(0.1))
  truth = mean + WIDENING * drawn(0.1, (20, 60, 60, 1))[-1]
  inside = (found.low <= truth) & (truth <= found.high)
  assert inside.mean() == pytest.approx(0.9, abs=0.03)


def test_a_constant_bias_of_samples_is_uncertainty_too():
  mean = np.zeros((8, 8, 3), np.float32)
  found = estimate_uncertainty(mean, np.full((2, 8, 8, 3), 0.1, np.float32))
  np.testing.assert_allclose(found.std, WIDENING * 0.1, rtol=1e-2)


def test_equal_samples_leave_half_a_grey_level():
  mean = np.full((8, 8, 1), 1.0, np.float32)
  found = estimate_uncertainty(mean, mean[None])
  np.testing.assert_allclose(found.std, 0.5 / 127.5, rtol=1e-5)
  assert found.high.max() == 1


def test_samples_of_another_shape_are_refused():
  mean = np.zeros((8, 8, 1), np.float32)
  for samples in (np.zeros((2, 8, 7, 1)), np.zeros((0, 8, 8, 1))):
    with pytest.raises(ValueError, match='`samples`'):
      estimate_uncertainty(mean, samples)
