"""The covariance of a flow's errors grows with the signs of error."""

import numpy as np
import pytest

from internal_diffusion.applications.flow.covariance import (
  error_covariance,
  with_covariance,
)
from internal_diffusion.applications.flow.pixels import PixelPosteriors

SIZE = (30, 40)


@pytest.fixture
def signs():
  """A slanted flow, posteriors of 0.1 pixels, and frames that agree."""
  rng = np.random.default_rng(0)
  rows, columns = np.indices(SIZE)
  mean = np.stack([0.2 * columns, 0.1 * columns - 0.1 * rows], axis=-1)
  field = np.broadcast_to(np.diag([1e-3, 2e-3]), (*SIZE, 2, 2))
  posteriors = PixelPosteriors(
    mean=0.1 * rng.standard_normal((*SIZE, 2)),
    covariance=np.broadcast_to(1e-2 * np.eye(2), (*SIZE, 2, 2)),
    precision=np.broadcast_to(1e2 * np.eye(2), (*SIZE, 2, 2)),
  )
  first = rng.uniform(-1, 1, SIZE)
  return {
    'mean': mean,
    'field_covariance': field,
    'posteriors': posteriors,
    'disagreement': np.zeros((*SIZE, 2)),
    'first': first,
    'warped': first,
    'lost': np.zeros(SIZE),
    'search_range': 30.0,
  }


def variance(**signs):
  """Of both components, in the middle, away from the border."""
  covariance = error_covariance(**signs)
  assert np.all(np.linalg.eigvalsh(covariance) > 0)
  return np.trace(covariance, axis1=-2, axis2=-1)[10:20, 10:30]


def test_a_plane_is_no_sign_of_error(signs):
  flat = np.zeros_like(signs['mean'])
  # A Gaussian of few pixels leaves a trace of it.
  np.testing.assert_allclose(
    variance(**signs), variance(**{**signs, 'mean': flat}), rtol=0.1
  )


@pytest.mark.parametrize('name', ['mean', 'disagreement', 'warped'])
def test_every_sign_widens_it(signs, name):
  rng = np.random.default_rng(1)
  noise = rng.standard_normal(signs[name].shape)
  wider = {**signs, name: signs[name] + 0.3 * noise}
  assert variance(**wider).mean() > 1.2 * variance(**signs).mean()


def test_the_direction_is_that_of_the_field(signs):
  covariance = error_covariance(**signs)
  assert np.all(covariance[..., 1, 1] > covariance[..., 0, 0])


def test_frames_better_than_the_training_pairs_narrow_it(signs):
  still = signs['posteriors']._replace(mean=0.1 * signs['posteriors'].mean)
  narrow = variance(**{**signs, 'posteriors': still})
  assert narrow.mean() < 0.05 * variance(**signs).mean()


def test_certain_pixels_are_allowed(signs):
  certain = signs['posteriors']._replace(
    covariance=np.full((*SIZE, 2, 2), 1e-30)
  )
  assert np.all(np.isfinite(variance(**{**signs, 'posteriors': certain})))


def test_lost_pixels_have_the_variance_of_the_search(signs):
  half = np.zeros(SIZE)
  half[:, 20:] = 1
  total = np.trace(
    error_covariance(**{**signs, 'lost': half}), axis1=-2, axis2=-1
  )
  assert total[:, :20].max() < 10
  # A uniform distribution on [-30, 30] has the variance 300.
  np.testing.assert_allclose(total[:, 20:], 600, rtol=0.01)


def test_two_samples_along_one_line_are_allowed():
  # Their covariance is singular, in float32 even indefinite.
  line = 50 * np.random.default_rng(3).standard_normal((*SIZE, 2))
  samples = np.stack([line, -line]).astype(np.float32)
  wanted = np.broadcast_to(np.diag([4.0, 1.0]), (*SIZE, 2, 2))
  found = with_covariance(samples, wanted)
  assert np.all(np.isfinite(found))
  np.testing.assert_allclose(found[0], -found[1], rtol=1e-5)
