import jax
import numpy as np
import pytest

from internal_diffusion.applications.video import (
  VideoOptions,
  fill,
  film,
  interpolate,
  predict,
  upscale,
)
from internal_diffusion.applications.video.interpolate import step_length
from internal_diffusion.data import make_clip
from internal_diffusion.data.resampling import resample
from internal_diffusion.evaluation import psnr
from tests.applications.video import moving

KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def frames():
  return moving.moved((1.3, 0.6), 9)


@pytest.fixture(scope='module')
def clip(frames):
  return make_clip(frames, rate=12.5)


def test_a_missing_frame_is_noticed_and_estimated(frames):
  held_out = make_clip(np.delete(frames, 4, axis=0))
  assert 1.8 < step_length(held_out, 4) < 2.2
  found = interpolate(KEY, held_out, at=4, num_samples=2)
  assert found.found['frame_was_missing']
  assert found.mean.shape == (1, *frames.shape[1:])
  neighbours = (frames[3] + frames[5]) / 2
  own = psnr(found.mean[0], frames[4])
  assert own > psnr(neighbours, frames[4]) + 10
  assert not np.array_equal(found.samples[0], found.samples[1])
  error = np.abs(found.mean[0] - frames[4])
  within = np.mean(error <= 1.645 * found.std[0][..., None])
  assert 0.8 < within < 0.99


def test_a_whole_clip_keeps_its_frames_and_its_pace(clip, frames):
  assert 0.9 < step_length(clip, 4) < 1.1
  short = make_clip(frames[::2])
  found = interpolate(KEY, short, factor=2, num_samples=1)
  assert len(found.mean) == 9
  assert found.rate == 2 * short.rate
  np.testing.assert_array_equal(found.mean[::2], short.frames())
  assert not found.std[::2].any()
  assert psnr(found.mean[3], frames[3]) > 35


def test_prediction_goes_on_and_backward_is_its_mirror(frames):
  known = make_clip(frames[:8])
  found = predict(KEY, known, num_frames=1, num_samples=1)
  own = psnr(found.mean[0], frames[8])
  assert own > psnr(frames[7], frames[8]) + 6
  turned = make_clip(frames[:8][::-1])
  back = predict(KEY, turned, num_frames=1, backward=True, num_samples=1)
  np.testing.assert_array_equal(found.mean, back.mean)
  np.testing.assert_array_equal(found.samples, back.samples)


def test_a_hole_shows_what_was_behind_it(frames):
  still = np.repeat(frames[:1], 5, axis=0)
  mask = np.zeros(still.shape[:3], bool)
  for index in range(5):
    mask[index, 10:22, 4 + 9 * index : 16 + 9 * index] = True
  covered = np.where(mask[..., None], 1.0, still)
  clip = make_clip(covered)
  found = fill(KEY, clip, mask)
  np.testing.assert_array_equal(found.mean[~mask], clip.frames()[~mask])
  true = make_clip(still).frames()
  np.testing.assert_allclose(found.mean[mask], true[mask], atol=1e-5)
  assert found.found['unseen_fraction_of_hole'] == 0
  assert not found.std[~mask].any()
  assert found.std[mask].all()


def test_a_hole_that_no_frame_shows_is_one_thing_in_all_frames(frames):
  still = make_clip(np.repeat(frames[:1], 3, axis=0))
  mask = np.zeros(still.size, bool)
  mask[20:26, 20:26] = True
  found = fill(KEY, still, mask)
  assert found.found['unseen_fraction_of_hole'] == 1
  assert np.isfinite(found.samples).all()
  for sample in found.samples:
    np.testing.assert_array_equal(sample[0], sample[2])


def test_upscaling_beats_interpolation_and_keeps_the_clip(frames):
  low = make_clip(np.asarray(resample(frames[:5, :, :56], (32, 36))))
  size = (64, 72)
  found = upscale(KEY, low, factor=2, num_samples=1)
  assert found.mean.shape[1:3] == size
  smaller = np.asarray(resample(found.mean, low.size))
  assert np.abs(smaller - low.frames()).max() < 0.02


def test_two_frames_are_enough(frames):
  found = interpolate(KEY, make_clip(frames[:2]), at=1, num_samples=1)
  assert np.isfinite(found.samples).all()
  assert (found.std > 0).all()


def test_results_repeat(clip):
  options = VideoOptions('interpolate', at=3, num_samples=1)
  one, other = (film(KEY, clip, options) for _ in range(2))
  np.testing.assert_array_equal(one.samples, other.samples)


def test_bad_arguments(clip):
  with pytest.raises(ValueError, match='`at` must be from 1 to 8'):
    interpolate(KEY, clip, at=9)
  with pytest.raises(ValueError, match='`factor`'):
    interpolate(KEY, clip, factor=1)
  with pytest.raises(ValueError, match='`num_frames`'):
    predict(KEY, clip, num_frames=10)
  with pytest.raises(ValueError, match='one for every frame'):
    fill(KEY, clip, np.ones((4, *clip.size), bool))
  with pytest.raises(ValueError, match='white everywhere'):
    fill(KEY, clip, np.ones(clip.size, bool))
  with pytest.raises(ValueError, match='too small'):
    upscale(KEY, clip, factor=4)
  with pytest.raises(ValueError, match='`mask` is for'):
    film(KEY, clip, VideoOptions('fill'))
  with pytest.raises(ValueError, match='`task` must be one of'):
    VideoOptions('dream')
  with pytest.raises(ValueError, match='`at` is for interpolate'):
    VideoOptions('predict', at=3)
  with pytest.raises(ValueError, match='whole number'):
    VideoOptions('interpolate', factor=1.5)
