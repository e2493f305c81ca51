"""Measured displacement and its uncertainty, on particles of known motion."""

import numpy as np
import pytest

from internal_diffusion.applications.measurement import (
  Kind,
  MeasurementOptions,
  find_kind,
  learn_measurement,
  measure,
)
from tests.applications.measurement.particle_images import (
  particles,
  shift,
  turn,
)

QUICK = MeasurementOptions(num_pairs=1)
SIDE = 96


@pytest.fixture(scope='module')
def turning():
  return particles(0, turn(0.05))


@pytest.fixture(scope='module')
def model(turning):
  return learn_measurement(*turning, QUICK)


@pytest.fixture(scope='module')
def found(model, turning):
  return measure(model, *turning)


def truth():
  y, x = np.indices((SIDE, SIDE)).astype(float)
  places = np.stack([x, y], axis=-1).reshape(-1, 2)
  return turn(0.05)(places).reshape(SIDE, SIDE, 2)


def deviation(found):
  return np.sqrt(found.covariance[..., [0, 1], [0, 1]])


def test_rotation_is_measured_and_its_error_is_known(found):
  assert found.valid.mean() > 0.85
  error = (found.mean - truth())[found.valid]
  assert np.sqrt(np.mean(np.sum(error**2, axis=-1))) < 0.06
  relative = np.abs(error) / deviation(found)[found.valid]
  assert 0.5 < np.mean(relative < 1) < 0.9
  assert np.mean(relative < 2) > 0.85


def test_model_is_of_the_kind_and_reports_its_coverage(model):
  assert model.kind == Kind.PARTICLES
  assert np.all((np.asarray(model.windows) >= 6) & (model.windows <= 50))
  held = np.asarray(model.coverage)[:, list(model.nominal).index(0.9)]
  assert np.all(held > 0.7)


def test_one_model_measures_other_pairs_and_long_shifts(model):
  pair = particles(1, shift(9.4, -6.7))
  found = measure(model, *pair)
  error = (found.mean - (9.4, -6.7))[found.valid]
  assert found.valid.mean() > 0.6
  assert np.median(np.linalg.norm(error, axis=-1)) < 0.05
  # What leaves the frame is not measured.
  assert not found.valid[:, -9:].any()
  assert not found.valid[:6].any()


def test_error_is_no_function_of_the_fraction_of_a_pixel(model):
  means = [
    measure(model, *particles(2, shift(1 + part, 0))).mean[..., 0].mean() - part
    for part in (0, 0.25, 0.5, 0.75)
  ]
  np.testing.assert_allclose(means, 1, atol=0.02)


def test_nothing_to_see_is_invalid_with_infinite_uncertainty(model):
  first, second = (np.array(f) for f in particles(3, shift(1.5, 0.5)))
  for frame in (first, second):
    frame[20:70, 30:80] = -1
  found = measure(model, first, second)
  assert not found.valid[38:52, 48:62].any()
  assert np.all(np.isinf(found.covariance[45, 55].diagonal()))
  assert found.valid.mean() > 0.5


def test_masked_pixels_are_invalid_and_change_nothing_far_away(
  model, turning, found
):
  ignored = np.zeros((SIDE, SIDE), bool)
  ignored[:30, :30] = True
  masked = measure(model, *turning, ignored=ignored)
  assert not masked.valid[:30, :30].any()
  far = masked.mean[60:90, 60:90] - found.mean[60:90, 60:90]
  assert np.abs(far).max() < 0.05


def test_the_same_pair_gives_the_same_result(model, turning, found):
  again = measure(model, *turning)
  np.testing.assert_array_equal(again.mean, found.mean)


def test_a_saved_model_is_used(turning, found, tmp_path):
  learnt = learn_measurement(*turning, QUICK, workdir=tmp_path)
  other = particles(4, shift(0.3, 0.2))
  loaded = learn_measurement(*other, QUICK, workdir=tmp_path)
  np.testing.assert_array_equal(loaded.weights, learnt.weights)
  np.testing.assert_array_equal(measure(loaded, *turning).mean, found.mean)


def test_kinds():
  frame, _ = particles(5, shift(0, 0))
  assert find_kind(frame) == Kind.PARTICLES
  rng = np.random.default_rng(0)
  grain = rng.uniform(-1, 1, (64, 64, 1)).astype(np.float32)
  assert find_kind(grain) == Kind.SPECKLE
  slope = np.tile(np.linspace(-1, 1, 64, dtype=np.float32), (64, 1))
  assert find_kind(slope[..., None] + 0.1 * grain.clip(-0.0, 0.0)) == (
    Kind.PHOTOGRAPH
  )


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda a, b: (a, b[:50], None), 'one size'),
    (lambda a, b: (np.zeros_like(a), b, None), 'constant'),
    (lambda a, b: (a, np.where(a > -0.9, 1.0, 1.0 - (a < -0.99)), None), 'sat'),
    (lambda a, b: (a, b, np.zeros((5, 5), bool)), '`ignored` must have'),
    (lambda a, b: (a, b, np.ones((SIDE, SIDE), bool)), 'leave pixels'),
    (lambda a, b: (a[:20, :20], b[:20, :20], None), '32 pixels'),
  ],
)
def test_bad_pairs(turning, model, change, message):
  first, second, ignored = change(*turning)
  with pytest.raises(ValueError, match=message):
    measure(model, first, second, ignored=ignored)


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('kind', 'fluid'),
    ('grid', 0),
    ('dt', 0.0),
    ('pixels_per_mm', -1.0),
    ('min_window', 1.0),
    ('max_window', 2.0),
    ('num_pairs', 0),
  ],
)
def test_bad_options(name, value):
  with pytest.raises(ValueError, match=name):
    MeasurementOptions(**{name: value})
