"""Smooth fields of B-splines and their prior."""

import numpy as np
import pytest

from internal_diffusion.applications.measurement.smooth_field import (
  SplineGrid,
  apply_precision,
)

GRID = SplineGrid(30, 41)


def field_of(function):
  y, x = np.indices((GRID.height, GRID.width)).astype(float)
  return np.stack(function(x, y))


def precision(value):
  ones = np.ones((GRID.height, GRID.width))
  return np.stack([value * ones, 0 * ones, value * ones])


def test_gather_is_the_transpose_of_field():
  rng = np.random.default_rng(0)
  coefficients = rng.standard_normal((2, *GRID.shape))
  values = rng.standard_normal((2, GRID.height, GRID.width))
  np.testing.assert_allclose(
    np.sum(GRID.field(coefficients) * values),
    np.sum(coefficients * GRID.gather(values)),
  )


def test_fields_of_the_second_degree_are_free():
  truth = field_of(lambda x, y: (0.02 * x * y - y, 3 + 0.01 * x**2))
  strong = np.full(2, 1e3)
  right = GRID.gather(apply_precision(precision(1.0), truth))
  found = GRID.field(GRID.solve(precision(1.0), strong, right))
  np.testing.assert_allclose(found, truth, atol=0.1)


def test_solve_solves():
  rng = np.random.default_rng(1)
  weights = rng.random((3, GRID.height, GRID.width)) * [[[2]], [[0.5]], [[2]]]
  penalty = np.array([0.1, 10.0])
  right = rng.standard_normal((2, *GRID.shape))
  found = GRID.solve(weights, penalty, right)
  product = GRID.gather(apply_precision(weights, GRID.field(found)))
  product += penalty[:, None, None] * GRID.roughness(found)
  np.testing.assert_allclose(product, right, atol=1e-2)


def test_random_roughness_has_the_covariance_of_the_prior():
  rng = np.random.default_rng(2)
  probe = rng.standard_normal((2, *GRID.shape))
  draws = [np.sum(probe * GRID.random_roughness(rng)) for _ in range(400)]
  expected = np.sum(probe * GRID.roughness(probe))
  assert np.mean(np.square(draws)) == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize('window', [8.0, 14.0])
def test_window_inverts_penalty_and_averages_as_much_noise(window):
  level, windows = np.full(2, 1.0), np.full(2, window)
  penalty = GRID.penalty(level, windows)
  np.testing.assert_allclose(GRID.window(level, penalty), windows)
  rng = np.random.default_rng(3)
  grid = SplineGrid(160, 160)
  noise = rng.standard_normal((2, 160, 160))
  ones = np.ones((160, 160))
  found = grid.field(
    grid.solve(np.stack([ones, 0 * ones, ones]), penalty, grid.gather(noise))
  )
  inner = found[:, 20:-20, 20:-20]
  assert inner.var() == pytest.approx(1 / window**2, rel=0.3)
