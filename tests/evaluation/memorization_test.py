"""Nearest distances against a k-d tree, and copies that were planted."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from internal_diffusion.evaluation import memorization


def uniform(seed, shape):
  rng = np.random.default_rng(seed)
  return rng.uniform(-1, 1, size=shape).astype(np.float32)


@pytest.fixture
def training():
  return uniform(0, (300, 5, 5, 3))


def test_distances_are_those_of_a_tree(training):
  queries = uniform(1, (40, 5, 5, 3))
  tree = cKDTree(training.reshape(300, -1).astype(np.float64))
  expected, _ = tree.query(queries.reshape(40, -1), k=2)
  nearest = memorization.nearest_distances(queries, training)
  np.testing.assert_allclose(
    np.stack(nearest, axis=1), expected / np.sqrt(75), rtol=1e-6
  )


def test_small_distances_survive_float32():
  # Far from the origin, |q|^2 + |t|^2 - 2 q.t would lose them.
  training = 0.9 + 1e-3 * uniform(0, (300, 147))
  queries = training[:50] + np.float32(2e-5)
  tree = cKDTree(training.astype(np.float64))
  expected, _ = tree.query(queries.astype(np.float64), k=2)
  nearest = memorization.nearest_distances(queries, training)
  np.testing.assert_allclose(
    np.stack(nearest, axis=1), expected / np.sqrt(147), rtol=1e-5
  )


def test_a_constant_offset_is_its_own_rms(training):
  nearest = memorization.nearest_distances(training + 0.01, training)
  np.testing.assert_allclose(nearest.first, np.full(300, 0.01), rtol=1e-4)


def test_leave_one_out_passes_over_the_patch_itself(training):
  whole = memorization.nearest_distances(training, training)
  others = memorization.nearest_distances(
    training, training, leave_one_out=True
  )
  assert np.all(whole.first == 0)
  np.testing.assert_array_equal(others.first, whole.second)
  assert np.all(others.second >= others.first)


def test_equal_training_patches_count_as_one(training):
  queries = uniform(1, (20, 5, 5, 3))
  once = memorization.nearest_distances(queries, training)
  twice = memorization.nearest_distances(
    queries, np.concatenate([training, training[::-1]])
  )
  np.testing.assert_allclose(twice.first, once.first, rtol=1e-6)
  np.testing.assert_allclose(twice.second, once.second, rtol=1e-6)


def test_planted_copies_are_counted_also_of_patches_that_occur_twice(training):
  twice = np.concatenate([training, training[:100]])
  noise = uniform(2, (30, 5, 5, 3))
  copies = twice[85:115] + 0.01 * noise
  fresh = uniform(1, (70, 5, 5, 3))
  nearest = memorization.nearest_distances(
    np.concatenate([fresh, copies]), twice
  )
  np.testing.assert_array_equal(
    memorization.is_copy(nearest), np.arange(100) >= 70
  )


def test_a_patch_of_a_flat_area_is_no_copy_however_close():
  grey = np.linspace(-1, 1, 256, dtype=np.float32)
  flat = np.ones((256, 27), np.float32) * grey[:, None]
  training = flat + 1e-3 * uniform(0, (256, 27))
  queries = flat[:-1] + (grey[1] - grey[0]) / 2
  nearest = memorization.nearest_distances(queries, training)
  assert np.all(nearest.first < 1 / 127.5)
  assert not np.any(memorization.is_copy(nearest))


def test_the_ratio_test_is_strict_and_takes_its_ratio():
  nearest = memorization.NearestDistances(
    np.array([0.0, 0.2, 0.5, 0.6]), np.array([1.0, 1.0, 1.0, 1.0])
  )
  strict = memorization.is_copy(nearest)
  np.testing.assert_array_equal(strict, [True, True, False, False])
  loose = memorization.is_copy(nearest, max_ratio=0.5 + 1e-6)
  np.testing.assert_array_equal(loose, [True, True, True, False])


def test_wrong_arguments_are_refused(training):
  query = training[:1]
  with pytest.raises(ValueError, match='one length'):
    memorization.nearest_distances(query[:, 1:], training)
  with pytest.raises(ValueError, match=r'at least 3 different.*got 1'):
    memorization.nearest_distances(query, np.repeat(query, 5, axis=0))
  nearest = memorization.nearest_distances(query, training)
  with pytest.raises(ValueError, match=r'`max_ratio`.*\(0, 1\), got 1'):
    memorization.is_copy(nearest, max_ratio=1)
