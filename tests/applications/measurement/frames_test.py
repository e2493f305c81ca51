"""Pairs of frames, moved towards each other."""

import numpy as np

from internal_diffusion.applications.measurement import frames


def waves(phase):
  y, x = np.indices((48, 56)).astype(float)
  return np.sin(0.4 * (x - phase)) + np.cos(0.3 * y)


def test_frames_moved_by_half_of_the_field_are_equal():
  pair = frames.FramePair(waves(0), waves(1.6), *[np.ones((48, 56), bool)] * 2)
  field = np.zeros((2, 48, 56))
  field[0] = 1.6
  moved = frames.move_together(pair, field)
  inner = np.s_[12:-12, 12:-12]
  np.testing.assert_allclose(moved.first[inner], moved.second[inner], atol=1e-3)
  np.testing.assert_allclose(moved.first[inner], waves(0.8)[inner], atol=1e-3)
  assert moved.visible[:, 1:-1].all()
  assert not moved.visible[:, -1].any()


def test_field_at_the_first_frame_of_a_rotation():
  y, x = np.indices((48, 48)).astype(float)
  x, y = x - 23.5, y - 23.5
  # A turn by the angle is tan(angle / 2) of the middle, where it is shorter.
  angle = 0.1
  middle = 2 * np.tan(angle / 2) * np.stack([-y, x])
  cosine, sine = np.cos(angle) - 1, np.sin(angle)
  truth = np.stack([cosine * x - sine * y, sine * x + cosine * y])
  found = frames.at_first_frame(middle, middle)
  inner = np.s_[:, 6:-6, 6:-6]
  np.testing.assert_allclose(found[inner], truth[inner], atol=1e-3)


def test_brightness_and_background_do_not_matter():
  rng = np.random.default_rng(0)
  first = rng.standard_normal((64, 64))
  y = np.indices((64, 64))[0] / 64
  pair = frames.flatten_pair(first, 3 * first + 5 + 0.01 * y, None)
  np.testing.assert_allclose(pair.first, pair.second, atol=0.02)


def test_rigid_particles_keep_their_form_in_a_strained_flow():
  y, x = np.indices((40, 40)).astype(float)
  spot = np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 8)
  field = np.stack([0.4 * (x - 10), np.zeros_like(y)])
  centres = np.broadcast_to(np.array([20, 20])[:, None, None], (2, 40, 40))
  rigid = frames.at_first_frame(field, spot, centres=centres)
  # The centre moves by 0.4 * (20 - 10) / 2 pixels, and all of the spot with it.
  np.testing.assert_allclose(rigid[:, 5:30], spot[:, 7:32], atol=1e-6)
  strained = frames.at_first_frame(field, spot)
  assert np.abs(strained[:, 5:30] - spot[:, 7:32]).max() > 0.1
