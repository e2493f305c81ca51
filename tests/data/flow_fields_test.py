"""Fields against geometry, pairs of frames against functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import flow_fields, warp


def picture(x, y):
  """A smooth function [H, W] to [H, W, 1] in [-1, 1], known everywhere."""
  waves = np.sin(0.21 * x + 0.08 * y) + np.cos(0.11 * x - 0.19 * y)
  return (waves / 2)[..., None].astype(np.float32)


def positions(size):
  y, x = np.indices(size).astype(np.float64)
  return x, y


def test_translation_has_one_vector():
  flow = flow_fields.translation((3, 4), displacement=(1.5, -2))
  assert flow.shape == (3, 4, 2)
  assert flow.dtype == np.float32
  np.testing.assert_array_equal(
    flow.reshape(-1, 2), np.tile([1.5, -2], (12, 1))
  )


def test_rotation_goes_clockwise_around_the_middle_and_keeps_distances():
  # By 90 degrees the right end of a row goes to the bottom.
  flow = flow_fields.rotation((5, 5), degrees=90)
  np.testing.assert_allclose(flow[2, 4], [-2, 2], atol=1e-6)
  np.testing.assert_allclose(flow[2, 2], [0, 0], atol=1e-6)
  x, y = positions((6, 9))
  flow = flow_fields.rotation((6, 9), degrees=17)
  before = np.hypot(x - 4, y - 2.5)
  after = np.hypot(x + flow[..., 0] - 4, y + flow[..., 1] - 2.5)
  np.testing.assert_allclose(after, before, atol=1e-6)


def test_zoom_multiplies_distances_from_the_middle():
  x, y = positions((6, 9))
  flow = flow_fields.zoom((6, 9), factor=1.25)
  np.testing.assert_allclose(x + flow[..., 0] - 4, 1.25 * (x - 4), atol=1e-6)
  np.testing.assert_allclose(
    y + flow[..., 1] - 2.5, 1.25 * (y - 2.5), atol=1e-6
  )


def test_smooth_random_has_its_amplitude_and_follows_its_seed():
  fields = [
    flow_fields.smooth_random(seed, (30, 40), amplitude=8, smoothness=10)
    for seed in (0, 0, 1)
  ]
  for field in fields:
    assert np.linalg.norm(field, axis=-1).max() == pytest.approx(8)
  np.testing.assert_array_equal(fields[0], fields[1])
  assert np.abs(fields[0] - fields[2]).max() > 1


@pytest.mark.parametrize('seed', range(4))
def test_smooth_random_does_not_fold_from_the_stated_smoothness_on(seed):
  flow = flow_fields.smooth_random(
    seed, (120, 160), amplitude=8, smoothness=1.5 * 8
  )
  assert float(warp.steepness(flow)) < 0.9


def test_second_frame_is_the_picture_at_the_inverse():
  # Of a rotation the inverse is known, so the frame is known pixel by pixel.
  size = 60, 80
  first = picture(*positions(size))
  pair = flow_fields.make_pair(
    first, flow_fields.rotation(size, degrees=5), margin=8
  )
  back = flow_fields.rotation(size, degrees=-5).astype(np.float64)
  x, y = positions(size)
  expected = picture(x + back[..., 0], y + back[..., 1])[8:-8, 8:-8]
  # The slope is below 0.22 a pixel: 0.01 pixels and the cubic's own error.
  assert np.abs(pair.second - expected).max() < 0.22 * 0.01 + 1e-3


@pytest.mark.parametrize('smoothness', [12, 30])
def test_the_flow_leads_from_the_first_frame_to_the_second(smoothness):
  size = 90, 110
  flow = flow_fields.smooth_random(3, size, amplitude=8, smoothness=smoothness)
  pair = flow_fields.make_pair(picture(*positions(size)), flow, margin=9)
  np.testing.assert_array_equal(pair.flow, flow[9:-9, 9:-9])
  warped, inside = jax.jit(warp.warp)(pair.second, pair.flow)
  np.testing.assert_array_equal(inside, pair.is_inside)
  assert 0.7 < np.mean(inside) < 1
  error = np.abs(warped - pair.first)[np.asarray(inside)]
  # Interpolated twice, once where the frame is stretched.
  assert error.max() < 0.02
  without = np.abs(pair.second - pair.first)[np.asarray(inside)]
  assert error.max() < 0.03 * without.max()


def test_whole_translation_is_exact_and_the_margin_shows_picture():
  image = np.random.default_rng(0).uniform(-1, 1, (20, 24, 3))
  image = image.astype(np.float32)
  flow = flow_fields.translation((20, 24), displacement=(3, -2))
  pair = flow_fields.make_pair(image, flow, margin=3)
  np.testing.assert_array_equal(pair.first, image[3:-3, 3:-3])
  np.testing.assert_array_equal(pair.second, image[5:-1, :-6])
  expected = np.ones((14, 18), bool)
  expected[:2] = expected[:, -3:] = False
  np.testing.assert_array_equal(pair.is_inside, expected)


def test_wrong_arguments_are_refused():
  image = jnp.zeros((10, 12, 1))
  flow = flow_fields.translation((10, 12), displacement=(0, 0))
  with pytest.raises(ValueError, match=r'`image`.*\(9, 12, 2\)'):
    flow_fields.make_pair(image, flow[1:])
  for margin in (-1, 5):
    with pytest.raises(ValueError, match=rf'`margin`.*got {margin}'):
      flow_fields.make_pair(image, flow, margin=margin)
  with pytest.raises(ValueError, match=r'steepness up to 0\.9, got 1'):
    flow_fields.make_pair(image, flow_fields.zoom((10, 12), factor=2))
  with pytest.raises(ValueError, match=r'steepness up to 0\.9, got nan'):
    flow_fields.make_pair(image, np.full_like(flow, np.nan))
  with pytest.raises(ValueError, match=r'`factor`.*0'):
    flow_fields.zoom((10, 12), factor=0)
  with pytest.raises(ValueError, match=r'`amplitude`.*-1'):
    flow_fields.smooth_random(0, (10, 12), amplitude=-1, smoothness=3)
  with pytest.raises(ValueError, match=r'`smoothness`.*0'):
    flow_fields.smooth_random(0, (10, 12), amplitude=1, smoothness=0)
