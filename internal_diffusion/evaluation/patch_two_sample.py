"""Are generated patches distinguishable from real ones? A classifier's answer.

The classifier two-sample test (Lopez-Paz & Oquab 2017, Revisiting classifier
two-sample tests): train a classifier on half of both sets to tell them apart,
and measure its accuracy on the other half. For equal distributions it is 1/2;
what no classifier can tell apart reaches 1/2, so the test is as severe as its
classifier is good. There are two here:

Perceptrons, as in the paper: one on standardised pixel values, which sees large
structure, one on whitened principal components, which sees fine detail; the
better of the two counts.

Boosted trees (Friedman 2001), the more severe. Where generated patches of a
photograph go wrong decides their features. A model has the large components
right soon; noise that is left, or detail that is missing, shows in the small
ones, at a level which is wrong for the contrast of the patch. So the features
are, with z the coordinates in the whitened principal components of the pooled
training half, smallest variance first:

  z_1 ... z_D,      e_k = z_1^2 + ... + z_k^2,      e_k / e_D,

with k at some twenty cuts: energies of the finest detail, and their share of
the whole, in which contrast cancels. On Gaussian mixtures, noise, blur and
diffusion samples they found more than any perceptron, at a tenth of the time.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import threadpoolctl
from jax.typing import ArrayLike
from sklearn import ensemble, exceptions, neural_network

from internal_diffusion.evaluation import distances

Array = jax.Array

MIN_PATCHES = 128
_NUM_CUTS = 20

# `(train, labels, test) -> answers`: fits a classifier and asks it.
_Classifier = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class TwoSampleTest(NamedTuple):
  """The outcome of a classifier two-sample test.

  Attributes:
    accuracy: Share of the held-out patches told right; 0.5 is perfect.
    standard_error: Its standard error, sqrt(a (1 - a) / number held out).
  """

  accuracy: float
  standard_error: float


def perceptron_two_sample_test(
  key: Array, x: ArrayLike, y: ArrayLike
) -> TwoSampleTest:
  """How well the better of two perceptrons tells the sets apart.

  Of two tries at chance the better is a little above it, by half a standard
  error.

  Args:
    key: Key for the split into halves; the same key gives the same figures.
    x: Patches, [N, P, P, C] or [N, D], N at least 128.
    y: Patches, equally many.

  Returns:
    The accuracy and its standard error, for independent draws.

  Raises:
    ValueError: If the sets are not as said above, or all patches are equal.
  """
  outcomes = [_test(key, x, y, _on_pixels), _test(key, x, y, _on_components)]
  return max(outcomes)


def boosted_trees_two_sample_test(
  key: Array, x: ArrayLike, y: ArrayLike
) -> TwoSampleTest:
  """How well boosted trees on energies of detail tell the sets apart.

  Args:
    key: Key for the split into halves; the same key gives the same figures.
    x: Patches, [N, P, P, C] or [N, D], N at least 128.
    y: Patches, equally many.

  Returns:
    The accuracy and its standard error, for independent draws.

  Raises:
    ValueError: If the sets are not as said above, or all patches are equal.
  """
  return _test(key, x, y, _on_energies)


def _test(
  key: Array, x: ArrayLike, y: ArrayLike, classifier: _Classifier
) -> TwoSampleTest:
  x, y = distances.as_vectors(x=x, y=y, min_patches=MIN_PATCHES)
  distances.check_same_size(x=x, y=y)
  key_x, key_y = jax.random.split(key)
  train_x, test_x = _halves(key_x, x)
  train_y, test_y = _halves(key_y, y)
  train, train_labels = _labelled(train_x, train_y)
  test, test_labels = _labelled(test_x, test_y)
  answers = classifier(train, train_labels, test)
  accuracy = float(np.mean(answers == test_labels))
  variance = accuracy * (1 - accuracy) / len(test_labels)
  return TwoSampleTest(accuracy, float(np.sqrt(variance)))


def _perceptron(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  classifier = neural_network.MLPClassifier(
    (256, 256), early_stopping=True, random_state=0
  )
  # One thread adds in one order, so one key gives one answer.
  with warnings.catch_warnings(), threadpoolctl.threadpool_limits(limits=1):
    # It stops early or at its last epoch; either is an answer.
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
    return classifier.fit(train, labels).predict(test)


def _on_pixels(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  mean, deviation = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
  return _perceptron(
    (train - mean) / deviation, labels, (test - mean) / deviation
  )


def _on_components(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  mean, whitening = _whitening(train)
  return _perceptron(
    (train - mean) @ whitening, labels, (test - mean) @ whitening
  )


def _on_energies(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  basis = _whitening(train)
  classifier = ensemble.HistGradientBoostingClassifier(
    max_iter=100, max_leaf_nodes=8, early_stopping=False, random_state=0
  )
  # The work is small: a second thread gains little, and where the machine is
  # shared, threads that wait for one another lose tenfold.
  with threadpoolctl.threadpool_limits(limits=1, user_api='openmp'):
    classifier.fit(_features(train, *basis), labels)
    return classifier.predict(_features(test, *basis))


def _halves(key: Array, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  shuffled = vectors[np.asarray(jax.random.permutation(key, len(vectors)))]
  half = len(vectors) // 2
  return shuffled[:half], shuffled[half:]


def _labelled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  return np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])


def _whitening(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mean, and components over their deviation by increasing variance."""
  mean = vectors.mean(axis=0, dtype=np.float64)
  centred = vectors - mean
  variances, components = np.linalg.eigh(centred.T @ centred / len(vectors))
  # Directions in which neither set varies say nothing.
  varies = variances > 1e-12 * variances[-1]
  if not np.any(varies):
    raise ValueError('`x` and `y` must vary, got equal patches.')
  return mean, components[:, varies] / np.sqrt(variances[varies])


def _features(
  vectors: np.ndarray, mean: np.ndarray, whitening: np.ndarray
) -> np.ndarray:
  """z, e_k and e_k / e_D of the module's text, [N, D + cuts + cuts]."""
  z = (vectors - mean) @ whitening
  energies = np.cumsum(z**2, axis=1)
  total = energies[:, -1:]
  cuts = np.unique(np.linspace(0, z.shape[1] - 1, _NUM_CUTS + 1).astype(int))
  energies = energies[:, cuts]
  shares = energies / np.maximum(total, np.finfo(np.float64).tiny)
  return np.concatenate([z, energies, shares], axis=1)
