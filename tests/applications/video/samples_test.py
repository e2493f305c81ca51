"""Errors of samples: how they look, how they go on, what they must keep."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from internal_diffusion.applications.video import fill, interpolate, samples
from internal_diffusion.applications.video.steady import flicker
from internal_diffusion.data import make_clip
from tests.applications.video import moving

KEY = jax.random.key(0)
INNER = slice(8, -8)


@pytest.fixture(scope='module')
def frames():
  return moving.moved((1.3, 0.6), 5)


def smooth_noise(seed, shape):
  noise = np.random.default_rng(seed).normal(size=shape)
  smooth = ndimage.gaussian_filter(noise, (1.5, 1.5, 0))
  return (smooth / smooth.std()).astype(np.float32)


def correlation(one, other):
  return np.mean(one * other) / np.sqrt(np.mean(one**2) * np.mean(other**2))


def test_an_error_that_moves_with_the_picture_persists(frames):
  wide = smooth_noise(0, (60, 70, 3))
  # The picture moves by (2.6, 1.2) in two frames, and so does the error.
  first = wide[6:54, 6:62]
  second = ndimage.shift(wide, (1.2, 2.6, 0), order=3)[6:54, 6:62]
  found = samples.persistence((frames[0], first), (frames[2], second))
  assert found > 0.9
  other = smooth_noise(1, first.shape)
  assert samples.persistence((frames[0], first), (frames[2], other)) < 0.2


def test_errors_go_on_along_the_motion(frames):
  looks = [smooth_noise(seed, frames[0].shape) for seed in range(3)]
  errors = samples.MovingErrors(KEY, 2)
  first = errors.following(frames[0], looks, 0.0)
  second = errors.following(frames[1], looks, 0.9)
  assert first.shape == (2, *frames[0].shape)
  assert abs(correlation(first[0], first[1])) < 0.9
  moved = ndimage.shift(first[0], (0.6, 1.3, 0), order=3)
  inside = (INNER, INNER)
  assert correlation(moved[inside], second[0][inside]) > 0.75
  assert 0.6 < np.std(second[0]) < 1.5


def test_steadier_errors_keep_their_size(frames):
  still = np.repeat(frames[:1], 4, axis=0)
  std = np.full(still.shape[:-1], 0.05, np.float32)
  errors = np.stack([smooth_noise(s, still.shape[1:]) for s in range(4)])[None]
  before = flicker(still + std[..., None] * errors[0])
  found = samples.steadier(still, std, errors, before / 2)
  after = flicker(still + std[..., None] * found[0])
  assert after <= before / 2
  for own, given in zip(found[0], errors[0], strict=True):
    assert np.std(own) == pytest.approx(np.std(given), rel=0.1)
  kept = samples.steadier(still, std, errors, 2 * before)
  np.testing.assert_array_equal(kept, errors)


def test_samples_keep_known_frames_and_pixels_bit_for_bit(frames):
  clip = make_clip(frames)
  known = clip.frames()
  between = interpolate(KEY, clip, factor=2, num_samples=2)
  for sample in between.samples:
    np.testing.assert_array_equal(sample[::2], known)
  mask = np.zeros(known.shape[:-1], bool)
  for index in range(len(mask)):
    mask[index, 10:18, 4 + 9 * index : 12 + 9 * index] = True
  behind = fill(KEY, clip, mask, num_samples=2)
  assert behind.found['unseen_fraction_of_hole'] < 0.5
  for sample in behind.samples:
    np.testing.assert_array_equal(sample[~mask], known[~mask])
  assert not np.array_equal(*behind.samples)
