"""Figures of flows whose errors are drawn from what is predicted."""

import numpy as np
import pytest

from internal_diffusion.evaluation.flow_report import judge_flow

SIZE = (60, 80)


@pytest.fixture
def drawn():
  rng = np.random.default_rng(0)
  covariance = np.array([[0.2, 0.1], [0.1, 0.3]])
  error = rng.multivariate_normal([0, 0], covariance, SIZE)
  truth = np.ones((*SIZE, 2))
  return {
    'mean': truth - error,
    'covariance': np.broadcast_to(covariance, (*SIZE, 2, 2)),
    'truth': truth,
    'valid': np.ones(SIZE, bool),
    'image': rng.uniform(-1, 1, (*SIZE, 1)),
  }


def test_true_ellipses_cover_as_much_as_they_say(drawn):
  figures = judge_flow(**drawn)
  assert abs(figures['coverage'] - 0.9) < 0.015
  own, best = figures['log_likelihood'], figures['log_likelihood_one_gaussian']
  assert abs(own - best) < 0.01
  assert figures['aepe_textured'] == pytest.approx(figures['aepe'], rel=1e-3)


def test_stereo_is_judged_by_u(drawn):
  drawn['mean'] = np.array(drawn['mean'])
  drawn['mean'][..., 1] = 1
  figures = judge_flow(**drawn, is_horizontal=True)
  assert abs(figures['coverage'] - 0.9) < 0.015
  own, best = figures['log_likelihood'], figures['log_likelihood_one_gaussian']
  assert abs(own - best) < 0.01


def test_what_is_not_known_does_not_count(drawn):
  drawn['valid'][:30] = False
  drawn['mean'][:30] = 100
  assert judge_flow(**drawn)['aepe'] < 1
