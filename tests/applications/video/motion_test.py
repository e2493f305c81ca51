import numpy as np
import pytest

from internal_diffusion.applications.video.motion import (
  find_motion,
  motion_covariance,
  warp_along,
  warp_variance,
)
from tests.applications.video import moving

INNER = slice(8, -8)


@pytest.mark.parametrize('times', [(-1, 1), (-2, -1), (0, 1), (-0.5, 1.5)])
def test_a_known_translation_is_found_at_any_times(times):
  velocity = (1.25, -0.75)
  # Frames at multiples of half a frame.
  frames = moving.moved(np.array(velocity) / 2, 9)
  first, second = (frames[round(4 + 2 * time)] for time in times)
  found = find_motion(first, second, times=times, window=3.0)
  error = np.abs(found[INNER, INNER] - velocity)
  assert np.mean(error) < 0.02


def test_a_warp_along_the_motion_is_the_frame_between():
  frames = moving.moved((1.0, 0.5), 3)
  velocity = np.broadcast_to(np.float32([1.0, 0.5]), (*frames[0].shape[:2], 2))
  warped, inside = warp_along(frames[2], velocity, 1)
  np.testing.assert_allclose(
    warped[INNER, INNER], frames[1][INNER, INNER], atol=0.01
  )
  assert inside[INNER, INNER].all()
  assert not inside[:, -1].any()


def test_pixels_that_are_not_known_do_not_count():
  frames = moving.moved((0.5, 0.0), 2)
  known = np.ones(frames[0].shape[:2], bool)
  known[16:30, 20:34] = False
  spoilt = frames.copy()
  spoilt[0][~known] = 1.0
  spoilt[1][~known] = -1.0
  found = find_motion(*spoilt, times=(0, 1), window=3.0, known=(known, known))
  assert np.mean(np.abs(found[INNER, INNER] - [0.5, 0])) < 0.06


def test_the_covariance_grows_with_the_error():
  frames = moving.moved((0.5, -0.25), 2)
  noise = np.random.default_rng(0).normal(size=frames.shape)
  ratios = []
  for size in (0.01, 0.02):
    first, second = (frames + size * noise).astype(np.float32)
    found = find_motion(first, second, times=(0, 1), window=3.0)
    warped = first, warp_along(second, found, 1)[0]
    covariance = motion_covariance(warped, (0, 1), window=3.0)
    error = (found - [0.5, -0.25])[INNER, INNER]
    ratios += [
      np.mean(error[..., axis] ** 2 / covariance[INNER, INNER, entry])
      for axis, entry in ((0, 0), (1, 2))
    ]
  # It is cautious: here errors of neighbours and channels are independent.
  assert 0.05 < min(ratios) <= max(ratios) < 1
  assert max(ratios) < 2 * min(ratios)


def test_along_an_edge_the_motion_is_open():
  column = np.arange(40, dtype=np.float32)
  stripes = 0.8 * np.sin(column / 2)[None, :, None] + np.zeros((32, 1, 1))
  stripes = stripes.astype(np.float32)
  covariance = motion_covariance((stripes, stripes), (0, 1), window=2.0)
  across, _, along = np.moveaxis(covariance, -1, 0)
  assert (along > 100 * across).all()
  # An error along the stripes changes nothing.
  variance = warp_variance(stripes, covariance, 1)
  flat = warp_variance(stripes, covariance * [1, 1, 0], 1)
  np.testing.assert_allclose(variance, flat, rtol=1e-4)
  twice = warp_variance(stripes, covariance, 2)
  np.testing.assert_allclose(twice, 4 * variance, rtol=1e-5)


def test_a_coarser_search_is_close():
  frames = moving.moved((1.25, -0.75), 2)
  found = find_motion(*frames, times=(0, 1), window=3.0, num_skipped=1)
  assert found.shape == (*frames[0].shape[:2], 2)
  assert np.mean(np.abs(found[INNER, INNER] - [1.25, -0.75])) < 0.15


def test_bad_arguments():
  frame = np.zeros((20, 20, 1), np.float32)
  with pytest.raises(ValueError, match='one shape'):
    find_motion(frame, frame[1:], times=(0, 1), window=2.0)
  with pytest.raises(ValueError, match='must differ'):
    find_motion(frame, frame, times=(1, 1), window=2.0)
