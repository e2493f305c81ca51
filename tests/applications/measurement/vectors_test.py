"""Vectors on a grid and what follows of them."""

import numpy as np
import pytest

from internal_diffusion.applications.measurement import (
  Measurement,
  MeasurementOptions,
  Units,
  ensemble_mean,
  grid_vectors,
)

SIZE = (40, 48)


def vectors(mean, *, valid=None, **options):
  valid = np.ones(SIZE, bool) if valid is None else valid
  covariance = np.tile(0.04 * np.eye(2), (*SIZE, 1, 1))
  ones = np.ones(SIZE)
  return grid_vectors(
    Measurement(mean, covariance, ones, ones, valid),
    np.array([[1.0, 2.0], [3.0, 4.0]]),
    MeasurementOptions(grid=8, **options),
  )


def linear(xx, xy, yx, yy):
  y, x = np.indices(SIZE).astype(float)
  return np.stack([xx * x + xy * y, yx * x + yy * y], axis=-1)


def test_derivatives_of_a_linear_field_and_their_errors():
  found = vectors(linear(0.1, -0.2, 0.3, 0.05))
  np.testing.assert_allclose(found['vorticity'], 0.5)
  np.testing.assert_allclose(found['divergence'], 0.15)
  np.testing.assert_allclose(found['strain_xx'], 0.1)
  np.testing.assert_allclose(found['strain_yy'], 0.05)
  np.testing.assert_allclose(found['strain_xy'], 0.05)
  np.testing.assert_allclose(found['sigma_vorticity'], 0.2 * np.sqrt(3 + 2))
  np.testing.assert_allclose(found['sigma_divergence'], 0.2 * np.sqrt(1 + 4))
  np.testing.assert_allclose(found['sigma_strain_xx'], 0.2)
  np.testing.assert_allclose(found['sigma_strain_yy'], 0.4)
  np.testing.assert_allclose(found['sigma_strain_xy'], 0.1 * np.sqrt(5))


def test_units():
  mean = linear(0.1, 0, 0, 0)
  found = vectors(mean, pixels_per_mm=10.0, dt=0.5)
  plain = vectors(mean)
  np.testing.assert_allclose(found['x'], plain['x'] / 10)
  np.testing.assert_allclose(found['u'], plain['u'] / 5)
  np.testing.assert_allclose(found['sigma_u'], 0.04)
  np.testing.assert_allclose(found['divergence'], 0.2)
  units = Units(10.0, 0.5)
  assert [
    units.of(n) for n in ('x', 'sigma_u', 'sigma_strain_xx', 'valid')
  ] == [
    'mm',
    'mm/s',
    '1/s',
    '1',
  ]
  assert Units(None, None).of('error_v') == 'px'


def test_what_is_not_valid_is_not_a_number_with_infinite_uncertainty():
  valid = np.ones(SIZE, bool)
  valid[:12] = False
  found = vectors(linear(0, 0, 0, 0), valid=valid)
  assert np.isnan(found['u'][0]).all()
  assert np.isinf(found['sigma_v'][0]).all()
  assert np.isinf(found['sigma_strain_xy'][0]).all()
  assert np.isfinite(found['u'][2:]).all()
  assert not found['valid'][0].any()


def test_mean_of_pairs_and_its_standard_error():
  ones = np.ones(SIZE, bool)
  pairs = [
    vectors(np.full((*SIZE, 2), value), valid=ones) for value in (1.0, 2.0, 6.0)
  ]
  found = ensemble_mean(pairs)
  np.testing.assert_allclose(found['u'], 3.0)
  np.testing.assert_allclose(found['error_u'], np.sqrt(7 / 3))
  np.testing.assert_allclose(found['measured_u'], 0.2 / np.sqrt(3))
  assert np.all(found['number'] == 3)
  lost = vectors(np.zeros((*SIZE, 2)), valid=~ones)
  alone = ensemble_mean([pairs[0], lost])
  np.testing.assert_allclose(alone['u'], 1.0)
  assert np.isinf(alone['error_u']).all()
  assert np.isnan(ensemble_mean([lost])['u']).all()


def test_a_grid_larger_than_the_frame():
  with pytest.raises(ValueError, match='grid'):
    MeasurementOptions(grid=41).check_grid(SIZE)
