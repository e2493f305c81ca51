"""Calibration of predictions whose calibration is known."""

import numpy as np
import pytest
from scipy import stats

from internal_diffusion.evaluation import calibration

LEVELS = [0.05, 0.5, 0.8, 0.95, 0.999]


def generator(seed=0):
  return np.random.default_rng(seed)


def random_covariances(shape, dim):
  mixing = generator(1).normal(size=(*shape, dim, dim))
  return mixing @ np.swapaxes(mixing, -1, -2) + 0.1 * np.eye(dim)


# Intervals of samples.


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('num_samples', [1, 2, 7, 100])
def test_truth_that_takes_each_rank_once_is_covered_exactly(num_samples, level):
  samples = np.arange(num_samples)[:, None] + np.zeros((1, num_samples + 1))
  truth = np.arange(num_samples + 1) - 0.5
  coverage = calibration.interval_coverage(samples, truth, level)
  assert coverage == pytest.approx(level)


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('num_samples', [1, 4, 25])
@pytest.mark.parametrize('num_values', [2, 5, None])
def test_exchangeable_truth_is_calibrated(num_samples, level, num_values):
  # Few different values make many ties.
  drawn = generator().normal(size=(num_samples + 1, 20_000))
  if num_values is not None:
    drawn = generator().integers(num_values, size=drawn.shape)
  coverage = calibration.interval_coverage(drawn[1:], drawn[0], level)
  error = np.sqrt(level * (1 - level) / drawn.shape[1])
  assert coverage == pytest.approx(level, abs=4 * error)


def test_truth_among_equal_samples_is_covered_as_chance_has_it():
  coverage = calibration.interval_coverage(np.ones((9, 5)), np.ones(5), 0.3)
  assert coverage == pytest.approx(0.3)


def test_overconfident_is_covered_less_and_underconfident_more():
  drawn = generator().normal(size=(20, 5000))
  for width, sign in ((0.5, -1), (2.0, 1)):
    coverage = calibration.interval_coverage(width * drawn[1:], drawn[0], 0.5)
    assert sign * (coverage - 0.5) > 0.1


def test_coverage_of_images_is_that_of_their_values():
  drawn = generator().normal(size=(6, 3, 4, 2))
  flat = drawn.reshape(6, -1)
  assert calibration.interval_coverage(
    drawn[1:], drawn[0], 0.6
  ) == calibration.interval_coverage(flat[1:], flat[0], 0.6)


def test_bounds_of_the_true_quantiles_are_calibrated():
  truth = generator().normal(size=20_000)
  bound = np.full_like(truth, stats.norm.ppf(0.9))
  coverage = calibration.bounds_coverage(-bound, bound, truth)
  assert coverage == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / len(truth)))
  assert calibration.bounds_coverage([1.0], [1.0], [1.0]) == 1


def test_reliability_is_the_coverage_at_each_level():
  table = calibration.reliability(
    lambda level: level**2, confidences=(0.2, 0.5)
  )
  np.testing.assert_allclose(table.nominal, [0.2, 0.5])
  np.testing.assert_allclose(table.empirical, [0.04, 0.25])
  assert table.mean_error == pytest.approx((0.16 + 0.25) / 2)


# CRPS.


def gaussian_crps(mean, stddev, truth):
  """Gneiting and Raftery 2007, eq. 21, with the sign that lower is better."""
  z = (truth - mean) / stddev
  normal = stats.norm
  inner = z * (2 * normal.cdf(z) - 1) + 2 * normal.pdf(z) - 1 / np.sqrt(np.pi)
  return stddev * inner


@pytest.mark.parametrize('truth', [-1.0, 0.3, 4.0])
def test_crps_of_a_gaussian_in_the_limit(truth):
  mean, stddev = 0.5, 2.0
  levels = (np.arange(20_000) + 0.5) / 20_000
  samples = stats.norm.ppf(levels, mean, stddev)
  expected = gaussian_crps(mean, stddev, truth)
  assert calibration.crps(samples, truth) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize('num_samples', [2, 3, 10])
def test_crps_is_unbiased_for_few_samples(num_samples):
  samples = generator().normal(0.5, 2.0, size=(num_samples, 50_000))
  scores = calibration.crps(samples, np.full(50_000, 1.5))
  error = scores.std() / np.sqrt(len(scores))
  expected = gaussian_crps(0.5, 2.0, 1.5)
  assert scores.mean() == pytest.approx(expected, abs=4 * error)


def test_crps_is_the_mean_over_pairs():
  samples, truth = generator().normal(size=(7, 2, 3)), np.ones((2, 3))
  pairs = np.abs(samples[:, None] - samples[None])
  expected = np.abs(samples - truth).mean(axis=0) - pairs.sum(axis=(0, 1)) / 84
  np.testing.assert_allclose(calibration.crps(samples, truth), expected)


def test_crps_of_a_certain_prediction_is_the_distance():
  assert calibration.crps([2.0, 2.0, 2.0], -1.0) == pytest.approx(3)


# Gaussians.


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('dim', [1, 2, 5])
def test_errors_of_a_gaussian_are_calibrated(dim, level):
  covariance = random_covariances((10_000,), dim)
  normal = generator().normal(size=(10_000, dim, 1))
  error = (np.linalg.cholesky(covariance) @ normal)[..., 0]
  coverage = calibration.gaussian_coverage(error, covariance, level)
  tolerance = 4 * np.sqrt(level * (1 - level) / len(error))
  assert coverage == pytest.approx(level, abs=tolerance)


def test_gaussian_coverage_does_not_depend_on_the_axes():
  covariance = random_covariances((4, 50), 2)
  error, mixing = (
    generator().normal(size=(4, 50, 2)),
    np.array([[2, 1], [0, 3]]),
  )
  assert calibration.gaussian_coverage(
    error, covariance, 0.6
  ) == calibration.gaussian_coverage(
    error @ mixing.T, mixing @ covariance @ mixing.T, 0.6
  )


def test_gaussian_log_likelihood_is_the_log_density():
  covariance = random_covariances((3, 4), 2)
  error = generator().normal(size=(3, 4, 2))
  measured = calibration.gaussian_log_likelihood(error, covariance)
  for index in np.ndindex(3, 4):
    density = stats.multivariate_normal(cov=covariance[index])
    assert measured[index] == pytest.approx(density.logpdf(error[index]))


# What is refused.


@pytest.mark.parametrize(
  'function',
  [lambda s, t: calibration.interval_coverage(s, t, 0.5), calibration.crps],
)
def test_wrong_samples_are_refused(function):
  with pytest.raises(
    ValueError, match=r'`samples`.*shape \(3,\), got \(5, 4\)'
  ):
    function(np.ones((5, 4)), np.ones(3))
  with pytest.raises(ValueError, match=r'`samples`.*shape \(\), got \(\)'):
    function(1.0, 1.0)
  with pytest.raises(ValueError, match=r'`samples` must not be empty'):
    function(np.ones((0, 4)), np.ones(4))
  with pytest.raises(ValueError, match='`truth` must be finite'):
    function(np.ones((5, 1)), [np.nan])


def test_crps_needs_two_samples():
  with pytest.raises(ValueError, match='at least 2 a case, got 1'):
    calibration.crps(np.ones((1, 3)), np.ones(3))


@pytest.mark.parametrize('level', [0, 1, -0.5, np.nan])
def test_levels_out_of_range_are_refused(level):
  with pytest.raises(ValueError, match=r'`confidence` must be in \(0, 1\)'):
    calibration.interval_coverage(np.ones((2, 1)), [1.0], level)
  with pytest.raises(ValueError, match='`confidence`'):
    calibration.gaussian_coverage([1.0], [[1.0]], level)
  with pytest.raises(ValueError, match='`confidence`'):
    calibration.reliability(lambda level: level, confidences=[0.5, level])


def test_reliability_needs_a_level():
  with pytest.raises(ValueError, match='`confidences`'):
    calibration.reliability(lambda level: level, confidences=[])


def test_wrong_bounds_are_refused():
  with pytest.raises(ValueError, match=r'`lower`.*`truth`.*\(3,\) and \(2,\)'):
    calibration.bounds_coverage(np.ones(3), np.ones(2), np.ones(2))
  with pytest.raises(ValueError, match=r'`upper` must be at least.*-1'):
    calibration.bounds_coverage([1.0], [0.0], [0.5])


def test_wrong_covariances_are_refused():
  with pytest.raises(ValueError, match=r'`covariance`.*\(4, 2, 2\).*\(2, 2\)'):
    calibration.gaussian_log_likelihood(np.ones((4, 2)), np.eye(2))
  with pytest.raises(ValueError, match='symmetric'):
    calibration.gaussian_coverage(np.ones(2), [[1, 0.5], [0, 1]], 0.5)
  with pytest.raises(
    ValueError, match='positive definite, got an eigenvalue -1'
  ):
    calibration.gaussian_log_likelihood(np.ones(2), [[0, 1], [1, 0]])
