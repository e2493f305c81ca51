"""The spread of a flow's errors grows with the signs of error."""

import numpy as np
import pytest

from internal_diffusion.applications.flow_model import Seen
from internal_diffusion.applications.flow_spread import spread_of

SIZE = (30, 40)


@pytest.fixture
def signs():
  """A slanted flow, 0.1 pixels open everywhere, and frames that agree."""
  rng = np.random.default_rng(0)
  rows, columns = np.indices(SIZE)
  mean = np.stack([0.2 * columns, 0.1 * columns - 0.1 * rows], axis=-1)
  field = np.broadcast_to(np.diag([1e-3, 2e-3]), (*SIZE, 2, 2))
  seen = Seen(
    mean=0.1 * rng.standard_normal((*SIZE, 2)),
    covariance=np.broadcast_to(1e-2 * np.eye(2), (*SIZE, 2, 2)),
    precision=np.broadcast_to(1e2 * np.eye(2), (*SIZE, 2, 2)),
  )
  first = rng.uniform(-1, 1, SIZE)
  return {
    'mean': mean,
    'field_covariance': field,
    'seen': seen,
    'disagreement': np.zeros((*SIZE, 2)),
    'first': first,
    'warped': first,
  }


def variance(**signs):
  """Of both components, in the middle, where no border is seen."""
  covariance = spread_of(**signs)
  assert np.all(np.linalg.eigvalsh(covariance) > 0)
  return np.trace(covariance, axis1=-2, axis2=-1)[10:20, 10:30]


def test_a_plane_is_no_sign_of_error(signs):
  flat = np.zeros_like(signs['mean'])
  # A Gaussian of few pixels leaves a trace of it.
  np.testing.assert_allclose(
    variance(**signs), variance(**{**signs, 'mean': flat}), rtol=0.1
  )


@pytest.mark.parametrize('name', ['mean', 'disagreement', 'warped'])
def test_every_sign_widens(signs, name):
  rng = np.random.default_rng(1)
  noise = rng.standard_normal(signs[name].shape)
  wider = {**signs, name: signs[name] + 0.3 * noise}
  assert variance(**wider).mean() > 1.2 * variance(**signs).mean()


def test_the_wider_direction_is_the_fields(signs):
  covariance = spread_of(**signs)
  assert np.all(covariance[..., 1, 1] > covariance[..., 0, 0])


def test_frames_better_than_what_was_learnt_from_narrow_it(signs):
  still = signs['seen']._replace(mean=0.1 * signs['seen'].mean)
  narrow = variance(**{**signs, 'seen': still})
  assert narrow.mean() < 0.05 * variance(**signs).mean()


def test_pixels_that_leave_nothing_open_are_allowed(signs):
  certain = signs['seen']._replace(covariance=np.full((*SIZE, 2, 2), 1e-30))
  assert np.all(np.isfinite(variance(**{**signs, 'seen': certain})))
