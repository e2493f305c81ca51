import numpy as np
import pytest

from internal_diffusion.evaluation import frechet_distance


def test_distance_of_gaussians_of_known_moments():
  # Along each axis: (m - m')^2 + (s - s')^2.
  x = np.random.default_rng(0).normal(size=(50_000, 2))
  y = np.random.default_rng(1).normal(size=(50_000, 2)) * [2.0, 0.5] + [1, 0]
  np.testing.assert_allclose(frechet_distance(x, y), 1 + 1 + 0.25, rtol=0.03)


def test_it_is_symmetric_and_zero_of_itself():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 40, 5))
  y = y @ rng.normal(size=(5, 5))
  assert abs(frechet_distance(x, x)) < 1e-6
  np.testing.assert_allclose(
    frechet_distance(x, y), frechet_distance(y, x), rtol=1e-6
  )


def test_features_of_different_number_are_refused():
  with pytest.raises(ValueError, match='x'):
    frechet_distance(np.zeros((5, 2)), np.zeros((5, 3)))
