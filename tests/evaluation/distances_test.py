"""Distances against closed forms and plain float64 computations."""

import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from internal_diffusion.evaluation import distances

KEY = jax.random.key(0)


def gaussian(seed, shape, *, mean=0.0):
  values = np.random.default_rng(seed).normal(mean, size=shape)
  return values.astype(np.float32)


def naive_mmd_squared(x, y, bandwidths):
  """Gretton et al. 2012, eq. 4, with all pairs at once."""
  x, y = x.astype(np.float64), y.astype(np.float64)

  def kernel(a, b):
    squares = cdist(a, b, 'sqeuclidean')
    return np.mean([np.exp(-squares / (2 * s**2)) for s in bandwidths], axis=0)

  h = kernel(x, x) + kernel(y, y) - kernel(x, y) - kernel(y, x)
  return h[~np.eye(len(x), dtype=bool)].mean()


# Sliced Wasserstein.


def test_sliced_wasserstein_of_a_set_and_itself_in_any_order_is_0():
  x = gaussian(0, (200, 3, 3, 1))
  assert distances.sliced_wasserstein(KEY, x, x) == 0
  assert distances.sliced_wasserstein(KEY, x, x[::-1]) == 0


def test_sliced_wasserstein_of_a_shift_is_its_length_over_sqrt_dim():
  x = gaussian(0, (50, 4))
  shift = np.array([[3.0, 0, 4, 0]], np.float32)
  measured = distances.sliced_wasserstein(KEY, x, x + shift)
  assert measured == pytest.approx(5 / np.sqrt(4), rel=0.1)
  line = distances.sliced_wasserstein(KEY, x[:, :1], x[:, :1] - 2)
  assert line == pytest.approx(2, rel=1e-5)


def test_sliced_wasserstein_of_two_gaussians():
  # W_2^2 of N(m, s^2) and N(n, t^2) is (m - n)^2 + (s - t)^2.
  x = gaussian(0, (20_000, 2))
  y = 1.5 * gaussian(1, (10_000, 2)) + np.ones((1, 2), np.float32)
  expected = np.sqrt(2 / 2 + 0.5**2)
  measured = distances.sliced_wasserstein(KEY, x, y, num_projections=128)
  assert measured == pytest.approx(expected, rel=0.05)


def test_sliced_wasserstein_of_unequal_sizes_is_exact():
  x, y = gaussian(0, (6, 3)), gaussian(1, (10, 3))
  # Repeating all of a set leaves its distribution: both then have 30 patches.
  measured = distances.sliced_wasserstein(KEY, x, y)
  expected = distances.sliced_wasserstein(
    KEY, np.repeat(x, 5, axis=0), np.repeat(y, 3, axis=0)
  )
  assert measured == pytest.approx(expected, rel=1e-5)


def test_sliced_wasserstein_is_symmetric_and_follows_its_key():
  x, y = gaussian(0, (40, 5)), gaussian(1, (40, 5))
  forth = distances.sliced_wasserstein(KEY, x, y)
  assert distances.sliced_wasserstein(KEY, x, y) == forth
  assert distances.sliced_wasserstein(KEY, y, x) == pytest.approx(forth)
  assert distances.sliced_wasserstein(jax.random.key(1), x, y) != forth


# Maximum mean discrepancy.


@pytest.mark.parametrize('num', [50, 300])
def test_mmd_is_the_plain_computation_in_any_chunks(num):
  x, y = gaussian(0, (num, 2, 2, 3)), gaussian(1, (num, 2, 2, 3), mean=0.2)
  bandwidths = (1.0, 4.0)
  expected = naive_mmd_squared(
    x.reshape(num, -1), y.reshape(num, -1), bandwidths
  )
  measured = distances.mmd_squared(x, y, bandwidths=bandwidths)
  assert measured.value == pytest.approx(expected, rel=1e-4)


def test_mmd_is_unbiased_and_knows_its_spread_under_equality():
  estimates = [
    distances.mmd_squared(
      gaussian((0, i), (32, 2)), gaussian((1, i), (32, 2)), bandwidths=(1.0,)
    )
    for i in range(200)
  ]
  values, stds = np.array(estimates).T
  assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
  # The spread of 200 values is itself known to some 5 to 10 percent.
  assert np.sqrt(np.mean(stds**2)) == pytest.approx(values.std(), rel=0.25)


def test_mmd_of_two_gaussians_has_its_closed_form_as_mean():
  # E k(x, y) = (s^2 / (s^2 + 2))^(D/2) exp(-|m|^2 / (2 (s^2 + 2))) for x, y of
  # two unit Gaussians a mean m apart and a kernel of bandwidth s.
  dim, offset, bandwidth = 2, 1.0, 1.5
  wide = bandwidth**2 + 2
  expected = 2 * (bandwidth**2 / wide) ** (dim / 2)
  expected *= 1 - np.exp(-dim * offset**2 / (2 * wide))
  values = [
    distances.mmd_squared(
      gaussian((0, i), (64, dim)),
      gaussian((1, i), (64, dim), mean=offset),
      bandwidths=(bandwidth,),
    ).value
    for i in range(100)
  ]
  error = np.std(values) / np.sqrt(len(values))
  assert abs(np.mean(values) - expected) < 4 * error
  assert error < 0.05 * expected


def test_mmd_sees_a_difference_in_units_of_its_null_std():
  x, y = gaussian(0, (300, 10)), gaussian(1, (300, 10))
  bandwidths = distances.median_bandwidths(x)
  same = distances.mmd_squared(x, y, bandwidths=bandwidths)
  other = distances.mmd_squared(x, y + 0.5, bandwidths=bandwidths)
  assert abs(same.value) < 4 * same.null_std
  assert other.value > 20 * other.null_std


def test_median_bandwidths_are_multiples_of_the_median_distance():
  # The distances of 0, 1 and 3 are 1, 2 and 3.
  points = np.array([[0.0], [1.0], [3.0]])
  assert distances.median_bandwidths(points, factors=(0.5, 2)) == (1.0, 4.0)


# Variances along principal components.


def test_variance_ratios_of_a_scaled_set_are_the_square_of_the_scale():
  mixing = gaussian(1, (12, 12))
  real = gaussian(0, (100, 12)) @ mixing
  ratios = distances.principal_variance_ratios(0.7 * real + 5, real)
  np.testing.assert_allclose(ratios, np.full(12, 0.49), rtol=1e-4)


def test_variance_ratios_find_the_component_that_lost_its_variance():
  # The patch's axes are its components, here by increasing variance.
  stddev = np.array([[0.1, 1.0, 10.0]], np.float32)
  coordinates = gaussian(0, (500, 3))
  coordinates -= coordinates.mean(axis=0, keepdims=True)
  orthogonal, _ = np.linalg.qr(coordinates)
  real = orthogonal * stddev
  generated = real * np.array([[3.0, 1.0, 0.5]], np.float32)
  ratios = distances.principal_variance_ratios(generated, real)
  np.testing.assert_allclose(ratios, [0.25, 1.0, 9.0], rtol=1e-4)


def test_variance_ratios_leave_out_directions_without_variance():
  grey = np.repeat(gaussian(0, (50, 3, 3, 1)), 3, axis=-1)
  ratios = distances.principal_variance_ratios(grey, grey)
  np.testing.assert_allclose(ratios, np.ones(9), rtol=1e-4)


def test_variance_ratios_of_real_against_real_have_the_documented_floor():
  dim, num = 40, 1000
  real, control = gaussian(0, (num, dim)), gaussian(1, (num, dim))
  spread = np.geomspace(1, 1e-3, dim, dtype=np.float32)[None]
  ratios = distances.principal_variance_ratios(control * spread, real * spread)
  last = np.mean(ratios[-10:])
  # The ratio of two variances spreads by sqrt(4 / N); ten are averaged.
  assert last == pytest.approx(1 + 2 * dim / num, abs=4 * np.sqrt(0.4 / num))


# What is refused.


def test_wrong_sets_are_refused():
  x = gaussian(0, (8, 12))
  with pytest.raises(ValueError, match=r'`y` must hold floats, got int'):
    distances.sliced_wasserstein(KEY, x, np.ones((8, 12), int))
  with pytest.raises(ValueError, match=r'`x`.*shape \(12,\)'):
    distances.sliced_wasserstein(KEY, x[0], x)
  with pytest.raises(ValueError, match=r'`y` must be finite'):
    distances.sliced_wasserstein(KEY, x, np.full((8, 12), np.inf))
  with pytest.raises(ValueError, match='one length'):
    distances.sliced_wasserstein(KEY, x, x[:, :6])
  with pytest.raises(ValueError, match=r'`x` must hold at least 2.*got 1'):
    distances.sliced_wasserstein(KEY, x[:1], x)
  with pytest.raises(ValueError, match=r'equally many.*8.*7'):
    distances.mmd_squared(x, x[1:], bandwidths=(1.0,))


def test_wrong_options_are_refused():
  x = gaussian(0, (8, 12))
  with pytest.raises(ValueError, match=r'`num_projections`.*0'):
    distances.sliced_wasserstein(KEY, x, x, num_projections=0)
  for bandwidths in ((), (1.0, 0.0), (np.inf,)):
    with pytest.raises(ValueError, match='`bandwidths`'):
      distances.mmd_squared(x, x, bandwidths=bandwidths)
  with pytest.raises(ValueError, match='must differ'):
    distances.median_bandwidths(np.ones((8, 12)))
  with pytest.raises(ValueError, match=r'`reference` must vary'):
    distances.principal_variance_ratios(x, np.ones((8, 12)))
