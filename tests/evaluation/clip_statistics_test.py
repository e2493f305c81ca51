import jax
import numpy as np
import pytest

from internal_diffusion.evaluation import (
  clip_sliced_wasserstein,
  compare_clips,
  field_diversity,
  flicker,
  nearest_field,
)

CLIP = np.random.default_rng(0).uniform(-1, 1, (8, 14, 16, 1)).astype('f4')


def test_a_copy_is_told_by_its_one_offset():
  copy = CLIP[1:7, 2:12, 3:15]
  field = nearest_field(copy, CLIP)
  assert (field.offset == [1, 2, 3]).all()
  assert not field.distance.any()
  assert field.copied == 1
  assert field_diversity(field) < 0.05


def test_noise_has_a_field_without_order():
  noise = np.random.default_rng(1).uniform(-1, 1, CLIP.shape).astype('f4')
  field = nearest_field(noise, CLIP)
  assert field.copied < 0.1
  assert field_diversity(field) > 0.3
  assert field.distance.min() > 0.1


def test_flicker_of_known_changes():
  frames = np.arange(5.0).reshape(5, 1, 1, 1) * np.ones((1, 4, 4, 1))
  assert flicker(0.1 * frames) < 1e-12
  alternating = frames % 2
  assert abs(flicker(alternating) - 2) < 1e-12
  with pytest.raises(ValueError, match='frames'):
    flicker(frames[:2])


def test_distance_of_a_clip_to_itself_and_to_a_brighter_one():
  key = jax.random.key(0)
  assert clip_sliced_wasserstein(key, CLIP, CLIP, num_patches=200) == 0
  found = clip_sliced_wasserstein(key, CLIP + 0.3, CLIP, num_patches=200)
  # A shift of all of D values is |shift| / sqrt(D) of its length sqrt(D).
  assert abs(found / 0.3 - 1) < 0.2
  figures = compare_clips(key, CLIP, CLIP, num_patches=200)
  assert figures['copied_fraction'] == 1
  assert figures['flicker_over_reference'] == 1
  assert figures['sliced_wasserstein_over_halves'] == 0


def test_bad_clips():
  with pytest.raises(ValueError, match='A clip must be'):
    nearest_field(CLIP[0], CLIP)
  with pytest.raises(ValueError, match='patch_size'):
    nearest_field(CLIP[:2], CLIP)
