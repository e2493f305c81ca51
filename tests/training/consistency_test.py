"""Training a consistency model of a few points."""

import jax
import numpy as np
import pytest

from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn, sample_consistency
from internal_diffusion.training.consistency import fit_consistency
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import DenoiserOptions

POINTS = np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]], np.float32)
OPTIONS = replace(
  DenoiserOptions(),
  network={'width': 48, 'depth': 1, 'embedding_dim': 16},
  batch_size=256,
  num_references=0,
  num_steps=400,
  steps_per_call=200,
  num_devices=1,
  noise={'sigma_min': 0.02, 'sigma_max': 10.0},
)


@pytest.fixture(scope='module')
def examples():
  return point_examples(POINTS)


@pytest.fixture(scope='module')
def teacher(examples):
  return fit_denoiser(examples, OPTIONS).model


@pytest.mark.parametrize(
  ('is_distilled', 'num_references'), [(True, 0), (False, 0), (False, 256)]
)
def test_one_evaluation_lands_near_the_points(
  examples, teacher, is_distilled, num_references
):
  model = fit_consistency(
    examples,
    replace(OPTIONS, num_references=num_references),
    start=teacher,
    teacher=teacher if is_distilled else None,
  ).model
  sample_fn = make_sample_fn(
    [10.0, 0.0], sample_shape=(2,), sampler=sample_consistency
  )

  def distance(model):
    found = sample_fn(model, jax.random.key(0), num_samples=500)
    apart = np.linalg.norm(found[:, None] - POINTS[None], axis=-1)
    return apart.min(axis=1).mean()

  # One evaluation of a denoiser gives the mean of all points.
  assert distance(model) < 0.4 * distance(teacher)


def test_a_teacher_of_another_basis_is_refused(examples, teacher):
  other = point_examples(POINTS + 1)
  start = fit_denoiser(other, replace(OPTIONS, num_steps=1)).model
  with pytest.raises(ValueError, match='teacher'):
    fit_consistency(examples, OPTIONS, start=start, teacher=teacher)
