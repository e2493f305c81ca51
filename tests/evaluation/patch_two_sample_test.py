"""The classifiers against chance and against Bayes' accuracy."""

from statistics import NormalDist

import jax
import numpy as np
import pytest

from internal_diffusion.evaluation import patch_two_sample

KEY = jax.random.key(0)


def gaussian(seed, shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(
  params=[
    patch_two_sample.perceptron_two_sample_test,
    patch_two_sample.boosted_trees_two_sample_test,
  ],
  ids=['perceptron', 'boosted_trees'],
)
def c2st(request):
  return lambda x, y: request.param(KEY, x, y)


def heavy_tailed(seed, num):
  """Correlated vectors of random contrast, as natural patches are."""
  mixing = gaussian(99, (27, 27)) * np.geomspace(1, 1e-2, 27)[:, None]
  contrast = np.exp(0.5 * gaussian((seed, 1), (num, 1)))
  return 0.1 * contrast * gaussian((seed, 0), (num, 27)) @ mixing


def test_equal_distributions_are_told_apart_by_chance_only(c2st):
  test = c2st(gaussian(0, (1000, 10)), gaussian(1, (1000, 10)))
  assert test.standard_error == pytest.approx(0.5 / np.sqrt(1000), rel=0.01)
  assert abs(test.accuracy - 0.5) < 3 * test.standard_error


def test_disjoint_distributions_are_told_apart(c2st):
  x, y = gaussian(0, (300, 10)), gaussian(1, (300, 10))
  assert c2st(x, y + 20).accuracy == 1.0


@pytest.mark.parametrize('distance', [1.0, 2.0])
def test_shifted_gaussians_reach_the_accuracy_of_bayes(c2st, distance):
  shift = np.full((1, 4), distance / 2, np.float32)
  test = c2st(gaussian(0, (4000, 4)), gaussian(1, (4000, 4)) + shift)
  bayes = NormalDist().cdf(distance / 2)
  assert test.accuracy < bayes + 3 * test.standard_error
  assert test.accuracy > bayes - 3 * test.standard_error - 0.02


def test_lost_detail_is_found_however_small_its_variance(c2st):
  # Ten components of 27 are off, together under 0.1 percent of the variance.
  x, y = heavy_tailed(0, 1000), heavy_tailed(1, 1000)
  _, components = np.linalg.eigh(np.cov(heavy_tailed(2, 4000).T))
  finest = components[:, :10]
  y_blurred = y - 0.8 * y @ finest @ finest.T
  assert c2st(x, y).accuracy < 0.56
  assert c2st(x, y_blurred).accuracy > 0.95


def test_a_direction_without_variance_does_not_matter(c2st):
  x, y = gaussian(0, (200, 6)), gaussian(1, (200, 6)) + 1
  constant = np.ones((200, 1), np.float32)
  longer_x, longer_y = (np.concatenate([v, constant], axis=1) for v in (x, y))
  plain, longer = c2st(x, y), c2st(longer_x, longer_y)
  # A perceptron of another length starts from other weights.
  assert abs(plain.accuracy - longer.accuracy) <= plain.standard_error


def test_one_key_gives_one_answer(c2st):
  x, y = gaussian(0, (200, 3, 3, 1)), gaussian(1, (200, 3, 3, 1))
  assert c2st(x, y) == c2st(x, y)


def test_wrong_sets_are_refused(c2st):
  x = gaussian(0, (200, 12))
  with pytest.raises(ValueError, match=r'equally many.*200.*150'):
    c2st(x, x[:150])
  with pytest.raises(ValueError, match=r'`y` must hold at least 128.*got 100'):
    c2st(x, x[:100])
  with pytest.raises(ValueError, match='must vary'):
    c2st(np.ones((200, 12)), np.ones((200, 12)))
