import numpy as np
import pytest

from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
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


def test_bad_arguments():
  frame = np.zeros((20, 20, 1), np.float32)
  with pytest.raises(ValueError, match='one shape'):
    find_motion(frame, frame[1:], times=(0, 1), window=2.0)
  with pytest.raises(ValueError, match='must differ'):
    find_motion(frame, frame, times=(1, 1), window=2.0)
