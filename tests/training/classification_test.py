"""A classifier of noisy points against the exact posterior."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.noisy_classifier import (
  ClassifierGuided,
  NoisyClassifier,
  Thresholded,
  class_weights,
)
from internal_diffusion.options import replace
from internal_diffusion.training.classification import (
  fit_classifier,
  make_classifier,
)
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import DenoiserOptions
from internal_diffusion.types import Condition

# Two points on a line, one of each class.
POINTS = np.array([[-1.0, 0.0], [1.0, 0.0]], np.float32)
OPTIONS = replace(
  DenoiserOptions(),
  network={'width': 32, 'depth': 1, 'embedding_dim': 16},
  batch_size=256,
  num_references=0,
  num_steps=300,
  steps_per_call=100,
  num_devices=1,
  noise={'sigma_min': 0.2, 'sigma_max': 5.0},
)


@pytest.fixture(scope='module')
def classifier():
  examples = point_examples(POINTS, conditions=np.eye(2))
  return fit_classifier(examples, OPTIONS, num_classes=2).model


def test_learns_the_posterior_at_every_noise_level(classifier):
  x = jnp.stack([jnp.linspace(-2, 2, 41), jnp.zeros(41)], axis=-1)
  for sigma in (1.0, 3.0):
    found = jnp.exp(classifier.log_posterior(x, jnp.float32(sigma)))
    # The log odds of points at -1 and 1 are 2 x / sigma^2.
    exact = jax.nn.sigmoid(2 * x[:, 0] / sigma**2)
    np.testing.assert_allclose(found[:, 1], exact, atol=0.08)


def test_log_likelihood_is_that_of_the_class(classifier):
  x, sigma = jnp.asarray(POINTS), jnp.float32(1.0)
  both = classifier.log_posterior(x, sigma)
  by_vector = classifier(x, sigma, Condition(vector=jnp.eye(2)))
  by_level = classifier(x, sigma, Condition(level=jnp.arange(2)))
  np.testing.assert_allclose(by_vector, jnp.diag(both))
  np.testing.assert_allclose(by_level, by_vector)


def test_before_training_all_classes_are_equally_likely():
  examples = point_examples(POINTS, conditions=np.eye(2))
  model = make_classifier(examples, OPTIONS, num_classes=2)
  assert isinstance(model, NoisyClassifier)
  np.testing.assert_allclose(
    model.log_posterior(jnp.asarray(POINTS), 1.0), np.log(0.5), rtol=1e-5
  )


def two_points(x, sigma, cond=None):
  """E[x0 | x] of the two points."""
  along = jnp.tanh(x[:, :1] / sigma**2)
  return jnp.concatenate([along, jnp.zeros_like(along)], axis=-1)


@dataclasses.dataclass(frozen=True)
class ExactClassifier:
  """Log odds 2 x / sigma^2."""

  def __call__(self, x, sigma, cond):
    sign = 2 * cond.level - 1
    return jax.nn.log_sigmoid(sign * 2 * x[:, 0] / sigma**2)


def test_a_guided_denoiser_with_the_exact_classifier_is_conditional():
  x = jnp.array([[0.3, 0.2], [-0.5, 0.0]])
  cond = Condition(level=jnp.array([0, 1]))
  guided = ClassifierGuided(two_points, ExactClassifier(), 1.0)
  found = guided(x, jnp.float32(0.8), cond)
  np.testing.assert_allclose(found, POINTS, atol=1e-5)


def test_thresholds():
  def far(x, sigma, cond=None):
    return 4 * x

  x = jnp.array([[0.5, -0.1, 0.05]])
  clipped = Thresholded(far)(x, 1.0)
  np.testing.assert_allclose(clipped, [[1.0, -0.4, 0.2]])
  scaled = Thresholded(far, 1.0)(x, 1.0)
  np.testing.assert_allclose(scaled, [[1.0, -0.2, 0.1]], rtol=1e-6)


@pytest.mark.parametrize(
  'cond', [None, Condition(), Condition(vector=jnp.ones((2, 3)))]
)
def test_a_condition_without_a_class_is_refused(cond):
  with pytest.raises(ValueError, match='cond'):
    class_weights(cond, 2)
