"""Sparsification of uncertainties that say all, nothing, and the reverse."""

import numpy as np
import pytest

from internal_diffusion.evaluation import sparsification

NUM = 1000
# The uniform distribution: without its largest share s its mean is (1 - s) / 2.
UNIFORM = np.random.default_rng(0).permutation(np.arange(NUM) + 0.5) / NUM


def test_rank_correlation_sees_the_order_only():
  for function in (np.exp, np.sqrt, lambda e: 5 * e - 3):
    measured = sparsification.rank_correlation(function(UNIFORM), UNIFORM)
    assert measured == pytest.approx(1)
  assert sparsification.rank_correlation(-UNIFORM, UNIFORM) == pytest.approx(-1)


def test_rank_correlation_of_independent_values_is_near_0():
  other = np.random.default_rng(1).normal(size=(10, NUM // 10))
  measured = sparsification.rank_correlation(other, UNIFORM.reshape(10, -1))
  assert abs(measured) < 4 / np.sqrt(NUM)


def test_uncertainty_in_the_order_of_the_errors_has_area_0():
  curves = sparsification.sparsification_curves(UNIFORM**3, UNIFORM)
  assert curves.area == pytest.approx(0, abs=1e-12)
  np.testing.assert_allclose(curves.remaining, curves.oracle)


def test_oracle_of_uniform_errors():
  curves = sparsification.sparsification_curves(UNIFORM, UNIFORM, num=10)
  np.testing.assert_allclose(curves.removed, np.arange(10) / 10)
  np.testing.assert_allclose(curves.oracle, (1 - curves.removed) / 2)


def test_uncertainty_that_says_nothing_has_half_the_area_for_uniform_errors():
  # The mean over s of 1/2 - (1 - s)/2, over 1/2, but for the finite number.
  curves = sparsification.sparsification_curves(np.ones(NUM), UNIFORM)
  np.testing.assert_allclose(curves.remaining, 0.5)
  assert curves.area == pytest.approx(0.5 - 0.5 / NUM)
  shuffled = np.random.default_rng(1).permutation(NUM)
  area = sparsification.sparsification_curves(shuffled, UNIFORM).area
  assert area == pytest.approx(0.5, abs=0.1)


def test_reversed_order_has_twice_the_area_of_none_for_uniform_errors():
  # The reverse of the oracle is its reflection at the mean.
  curves = sparsification.sparsification_curves(-UNIFORM, UNIFORM)
  assert curves.area == pytest.approx(1 - 1 / NUM)


def test_ties_are_removed_in_all_orders_alike():
  predicted = np.array([1.0, 2.0, 1.0, 2.0, 2.0])
  error = np.array([4.0, 0.0, 1.0, 5.0, 2.0])
  shuffle = np.random.default_rng(0).permutation
  areas = []
  for _ in range(4000):
    # Numbers below 1 break the ties at random.
    order = predicted + shuffle(5) / 10
    areas.append(sparsification.sparsification_curves(order, error).area)
  tolerance = 4 * np.std(areas) / np.sqrt(len(areas))
  measured = sparsification.sparsification_curves(predicted, error).area
  assert measured == pytest.approx(np.mean(areas), abs=tolerance)


def test_more_points_than_places():
  curves = sparsification.sparsification_curves([1.0, 2.0], [3.0, 5.0], num=4)
  np.testing.assert_allclose(curves.removed, [0, 0, 0.5, 0.5])
  np.testing.assert_allclose(curves.remaining, [4, 4, 3, 3])


def test_errors_of_0_have_area_0():
  assert sparsification.sparsification_curves([1.0, 2.0], [0.0, 0.0]).area == 0


def test_wrong_arguments_are_refused():
  for function in (
    sparsification.rank_correlation,
    sparsification.sparsification_curves,
  ):
    with pytest.raises(ValueError, match=r'`predicted`.*\(3,\) and \(2,\)'):
      function([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match='`predicted` must be finite'):
      function([1.0, np.inf], [1.0, 2.0])
    with pytest.raises(ValueError, match='`error` must not be empty'):
      function([1.0], [])
  with pytest.raises(
    ValueError, match='`predicted` must not be constant, got 2'
  ):
    sparsification.rank_correlation([2.0, 2.0], [1.0, 2.0])
  with pytest.raises(ValueError, match='`error` must not be constant'):
    sparsification.rank_correlation([1.0, 2.0], [1.0, 1.0])
  with pytest.raises(ValueError, match='`error` must be at least 0, got -1'):
    sparsification.sparsification_curves([1.0, 2.0], [1.0, -1.0])
  with pytest.raises(ValueError, match='`num`'):
    sparsification.sparsification_curves([1.0, 2.0], [1.0, 1.0], num=0)
