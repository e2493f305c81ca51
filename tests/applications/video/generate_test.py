import jax
import numpy as np
import pytest

from internal_diffusion.applications.video import generate, make_clip_prior
from internal_diffusion.applications.video.steady import flicker, steady
from internal_diffusion.data import make_clip
from tests.applications.video import moving

KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def clip():
  return make_clip(moving.moved((0.7, 0.2), 6, size=(16, 18)))


def test_a_new_clip_of_its_size_repeats_and_does_not_flicker(clip, capfd):
  prior = make_clip_prior(clip)
  assert prior.level_sizes((6, 16, 18)) == [(6, 16, 18)]
  one = generate(KEY, clip, prior=prior, num_steps=2)
  assert not capfd.readouterr().err
  other = generate(KEY, clip, prior=prior, num_steps=2, progress=True)
  shown = capfd.readouterr().err
  assert 'clips:   0%' in shown
  assert 'clips: 100%' in shown
  assert one.samples.shape == (1, 6, 16, 18, 3)
  np.testing.assert_array_equal(one.samples, other.samples)
  assert not np.array_equal(one.samples[0], clip.frames())
  assert flicker(one.samples[0]) < 1.2 * flicker(clip.frames())


def test_a_loop_of_another_length_and_size(clip):
  found = generate(
    KEY, clip, num_frames=7, size=(18, 24), loop=True, num_steps=2
  )
  frames = found.samples[0]
  assert frames.shape == (7, 18, 24, 3)
  steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
  closing = np.abs(frames[0] - frames[-1]).mean()
  assert closing < 1.5 * steps.max()


def test_a_steady_clip_keeps_its_motion():
  frames = moving.moved((0.5, 0.0), 7)
  noise = np.random.default_rng(0).normal(size=frames.shape)
  noisy = (frames + 0.03 * noise).astype(np.float32).clip(-1, 1)
  wanted = 0.7 * flicker(noisy)
  found = steady(noisy, wanted, loop=False)
  assert flicker(found) <= wanted
  inner = (slice(2, -2), slice(4, -4), slice(4, -4))
  error, before = (
    np.abs(own[inner] - frames[inner]).mean() for own in (found, noisy)
  )
  assert error < before
  assert steady(frames, 1.0, loop=True) is frames


def test_bad_arguments(clip):
  with pytest.raises(ValueError, match='patch_shape'):
    make_clip_prior(clip, patch_shape=(3, 6, 7))
  with pytest.raises(ValueError, match='patch_size'):
    make_clip_prior(clip, patch_shape=(7, 7, 7))
  with pytest.raises(ValueError, match='too small'):
    generate(KEY, clip, num_frames=2)
  with pytest.raises(ValueError, match='`size` must be'):
    generate(KEY, clip, size=(0, 20))
  with pytest.raises(
    ValueError, match=r'`num_frames` 6 of `size` 100000x100000 need.*GiB.*fit'
  ):
    generate(KEY, clip, size=(100_000, 100_000))
  with pytest.raises(ValueError, match='num_steps'):
    generate(KEY, clip, num_steps=1)
