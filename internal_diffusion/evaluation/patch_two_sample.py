"""Classifier two-sample tests of generated against real patches.

The test (Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests) trains
a classifier on half of both sets to distinguish them and measures its accuracy
on the other half. Equal distributions give an accuracy of 1/2. There are two
kinds of classifiers:

Perceptrons, as in the paper: one on standardised pixel values, which is
sensitive to large structure, and one on whitened principal components, which is
sensitive to fine detail. The higher accuracy counts.

Boosted trees (Friedman 2001), the more severe test. A model learns the large
components early; residual noise or missing detail appears in the small ones,
with an energy that does not fit the contrast of the patch. Let z be the
coordinates in the whitened principal components of the pooled training half,
smallest variance first. The features are

  z_1 ... z_D,      e_k = z_1^2 + ... + z_k^2,      e_k / e_D,

for about twenty k: energies of the finest detail, and their fractions of the
total, in which contrast cancels. On Gaussian mixtures, noise, blur and
diffusion samples the trees were more accurate than the perceptrons in a tenth
of the time.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import threadpoolctl
from jax.typing import ArrayLike

from internal_diffusion.evaluation import distances
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

MIN_PATCHES = 128
_NUM_CUTS = 20

# `(train, labels, test) -> predicted labels`.
_Classifier = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class TwoSampleTest(NamedTuple):
  """Result of a classifier two-sample test.

  Attributes:
    accuracy: Accuracy a on the test half; 0.5 is a perfect generator.
    standard_error: Its standard error for independent patches,
      sqrt(a (1 - a) / number of patches).
  """

  accuracy: float
  standard_error: float


@with_own_settings
def perceptron_two_sample_test(
  key: Array, x: ArrayLike, y: ArrayLike
) -> TwoSampleTest:
  """Accuracy of the better of two perceptrons.

  For equal distributions the better of two is above 0.5 by half a standard
  error. Arguments as in `boosted_trees_two_sample_test`.
  """
  return max(_test(key, x, y, _on_pixels), _test(key, x, y, _on_components))


@with_own_settings
def boosted_trees_two_sample_test(
  key: Array, x: ArrayLike, y: ArrayLike
) -> TwoSampleTest:
  """Accuracy of boosted trees on energies of detail.

  Args:
    key: Key of the split into halves.
    x: Patches, [N, P, P, C] or [N, D], N at least 128.
    y: Patches of the same shape.

  Raises:
    ValueError: If the sets are invalid or all patches are equal.
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
  train, test = np.vstack([train_x, train_y]), np.vstack([test_x, test_y])
  predicted = classifier(train, np.arange(len(train)) >= len(train_x), test)
  accuracy = float(np.mean(predicted == (np.arange(len(test)) >= len(test_x))))
  variance = accuracy * (1 - accuracy) / len(test)
  return TwoSampleTest(accuracy, float(np.sqrt(variance)))


def _perceptron(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  # The import takes a second, which other uses of the package would wait for.
  from sklearn import exceptions, neural_network

  classifier = neural_network.MLPClassifier(
    (256, 256), early_stopping=True, random_state=0
  )
  # With one thread the order of sums, and so the result, is reproducible.
  with warnings.catch_warnings(), threadpoolctl.threadpool_limits(limits=1):
    # The last epoch may come before convergence.
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
    return classifier.fit(train, labels).predict(test)


def _on_pixels(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  mean, std = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
  return _perceptron((train - mean) / std, labels, (test - mean) / std)


def _on_components(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  mean, whitening = _whitening(train)
  train, test = (train - mean) @ whitening, (test - mean) @ whitening
  return _perceptron(train, labels, test)


def _on_energies(
  train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:
  from sklearn import ensemble

  basis = _whitening(train)
  classifier = ensemble.HistGradientBoostingClassifier(
    max_iter=100, max_leaf_nodes=8, early_stopping=False, random_state=0
  )
  # The work is small: a second thread gains little, and on a shared machine
  # waiting threads are ten times slower.
  with threadpoolctl.threadpool_limits(limits=1, user_api='openmp'):
    classifier.fit(_features(train, *basis), labels)
    return classifier.predict(_features(test, *basis))


def _halves(key: Array, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  shuffled = vectors[np.asarray(jax.random.permutation(key, len(vectors)))]
  half = len(vectors) // 2
  return shuffled[:half], shuffled[half:]


def _whitening(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean, and components over their standard deviation, smallest first."""
  mean = vectors.mean(axis=0, dtype=np.float64)
  centred = vectors - mean
  variances, components = np.linalg.eigh(centred.T @ centred / len(vectors))
  # Components in which both sets are constant are dropped.
  varies = variances > 1e-12 * variances[-1]
  if not np.any(varies):
    raise ValueError('`x` and `y` must vary, got equal patches.')
  return mean, components[:, varies] / np.sqrt(variances[varies])


def _features(
  vectors: np.ndarray, mean: np.ndarray, whitening: np.ndarray
) -> np.ndarray:
  """Features z, e_k and e_k / e_D, [N, D + cuts + cuts]."""
  z = (vectors - mean) @ whitening
  energies = np.cumsum(z**2, axis=1)
  total = energies[:, -1:]
  cuts = np.unique(np.linspace(0, z.shape[1] - 1, _NUM_CUTS + 1).astype(int))
  energies = energies[:, cuts]
  fractions = energies / np.maximum(total, np.finfo(np.float64).tiny)
  return np.concatenate([z, energies, fractions], axis=1)
