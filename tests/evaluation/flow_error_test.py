"""Errors of flow against cases whose answer is known by hand."""

import math

import numpy as np
import pytest

from internal_diffusion.evaluation import flow_error


def random_flow(seed, *size, scale=3.0):
  return np.random.default_rng(seed).normal(0, scale, (*size, 2))


def test_the_truth_has_no_error():
  truth = random_flow(0, 5, 6)
  errors = flow_error.flow_errors(truth, truth)
  assert errors == (0, 0, 0, 0, 0, 0, 30)


def test_endpoint_error_is_the_length_of_the_difference():
  truth = random_flow(0, 4, 5)
  flow = truth + np.array([[[3.0, -4.0]]])
  np.testing.assert_allclose(flow_error.endpoint_error(flow, truth), 5.0)
  assert flow_error.flow_errors(flow, truth).aepe == pytest.approx(5)


@pytest.mark.parametrize(
  ('flow', 'truth', 'degrees'),
  [
    ((0, 0), (1, 0), 45),
    ((0, 0), (0, math.sqrt(3)), 60),
    ((1, 0), (-1, 0), 90),
    ((math.sqrt(2), 0), (0, math.sqrt(2)), math.degrees(math.acos(1 / 3))),
    ((1e9, 0), (-1e9, 0), 180),
    # A small angle, which the arc cosine would lose: d / (1 + u^2).
    ((1 + 1e-9, 0), (1, 0), math.degrees(1e-9 / 2)),
  ],
)
def test_angular_error_is_the_angle_in_space_and_time(flow, truth, degrees):
  measured = flow_error.angular_error(np.array(flow), np.array(truth))
  assert measured == pytest.approx(degrees, rel=1e-6)
  assert flow_error.angular_error(truth, flow) == pytest.approx(measured)


def test_angular_error_is_that_of_barron():
  # Barron et al. 1994, eq. 4.1.
  flow, truth = random_flow(0, 7, 8), random_flow(1, 7, 8)
  inner = 1 + np.sum(flow * truth, axis=-1)
  lengths = (1 + np.sum(flow**2, -1)) * (1 + np.sum(truth**2, -1))
  expected = np.degrees(np.arccos(inner / np.sqrt(lengths)))
  np.testing.assert_allclose(flow_error.angular_error(flow, truth), expected)


def test_outlier_rates_count_what_is_above():
  truth = np.zeros((1, 8, 2))
  flow = truth.copy()
  flow[0, :, 0] = [0, 0.5, 0.6, 1.0, 1.1, 2.0, 2.1, 3.1]
  errors = flow_error.flow_errors(flow, truth)
  assert errors.r0_5 == 6 / 8
  assert errors.r1 == 4 / 8
  assert errors.r2 == 2 / 8
  assert errors.fl == 1 / 8


@pytest.mark.parametrize(
  ('length', 'error', 'is_outlier'),
  [(10, 2.9, 0), (10, 3.1, 1), (100, 4.9, 0), (100, 5.1, 1), (59, 3.0, 0)],
)
def test_fl_needs_3_pixels_and_5_percent(length, error, is_outlier):
  truth = np.full((1, 1, 2), [0.6 * length, 0.8 * length])
  flow = truth + np.array([[[error, 0]]])
  assert flow_error.flow_errors(flow, truth).fl == is_outlier


def test_masks_leave_out_pixels():
  truth = random_flow(0, 6, 7)
  flow = truth + random_flow(1, 6, 7)
  mask = np.zeros((6, 7), bool)
  mask[1:3, 2:6] = True
  measured = flow_error.flow_errors(flow, truth, mask=mask)
  assert measured == flow_error.flow_errors(flow[1:3, 2:6], truth[1:3, 2:6])
  # Errors of a part and of the rest are, weighted, those of all.
  rest = flow_error.flow_errors(flow, truth, mask=~mask)
  every = flow_error.flow_errors(flow, truth)
  for name in ('aepe', 'angular', 'r0_5', 'r1', 'r2', 'fl'):
    total = getattr(measured, name) * 8 + getattr(rest, name) * 34
    assert getattr(every, name) == pytest.approx(total / 42)


@pytest.mark.parametrize('unknown', [np.nan, np.inf])
def test_unknown_truth_does_not_count(unknown):
  truth = random_flow(0, 4, 4)
  flow = truth + 1
  truth[2, 1, 1] = unknown
  flow[2, 1] = np.nan
  errors = flow_error.flow_errors(flow, truth)
  assert errors.num_pixels == 15
  assert errors.aepe == pytest.approx(math.sqrt(2))


def test_half_precision_is_summed_in_double():
  truth = np.zeros((300, 300, 2), np.float16)
  errors = flow_error.flow_errors(truth + np.float16(1), truth)
  assert errors.aepe == pytest.approx(math.sqrt(2), rel=1e-12)


# Texture.


def test_a_ramp_is_texture_from_its_slope_on():
  x = np.arange(12)[None, :, None] / 127.5
  for slope, expected in ((3.9, False), (4.1, True)):
    ramp = np.tile(slope * x - 0.5, (10, 1, 3))
    for image in (ramp, ramp.swapaxes(0, 1)):
      assert np.all(flow_error.textured(image) == expected)


def test_texture_reaches_half_a_window_beyond_an_edge():
  image = np.zeros((9, 20, 1))
  image[:, 10:] = 0.5
  # Central differences see the edge from columns 9 and 10.
  expected = np.zeros((9, 20), bool)
  expected[:, 8:12] = True
  np.testing.assert_array_equal(flow_error.textured(image), expected)
  wide = flow_error.textured(image, window=5)
  np.testing.assert_array_equal(np.flatnonzero(wide[4]), np.arange(7, 13))


# What is refused.


def test_wrong_arguments_are_refused():
  flow = np.zeros((4, 5, 2))
  with pytest.raises(
    ValueError, match=r'one shape.*\(4, 5, 2\) and \(4, 4, 2\)'
  ):
    flow_error.flow_errors(flow, flow[:, 1:])
  with pytest.raises(ValueError, match=r'\[H, W, 2\].*\(4, 5, 1\)'):
    flow_error.endpoint_error(flow[..., :1], flow[..., :1])
  with pytest.raises(ValueError, match=r'`mask`.*float64'):
    flow_error.flow_errors(flow, flow, mask=np.ones((4, 5)))
  with pytest.raises(ValueError, match=r'`mask`.*\(5, 4\)'):
    flow_error.flow_errors(flow, flow, mask=np.ones((5, 4), bool))
  with pytest.raises(ValueError, match='known truth'):
    flow_error.flow_errors(flow, flow * np.nan)
  bad = flow.copy()
  bad[1, 2, 0] = np.inf
  with pytest.raises(ValueError, match=r'`flow` must be finite.*got 1 v'):
    flow_error.flow_errors(bad, flow)
  with pytest.raises(ValueError, match=r'`window`.*0'):
    flow_error.textured(np.zeros((4, 4, 1)), window=0)
  with pytest.raises(ValueError, match=r'`image`.*\(1, 4\)'):
    flow_error.textured(np.zeros((1, 4, 1)))
