"""paint, reference, vary and interpolate on a small photograph."""

import importlib

import jax
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications.editing import (
  following,
  interpolate,
  paint,
  reference,
  remove,
  vary,
)
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.resampling import resample
from internal_diffusion.evaluation.fidelity import psnr

vary_lib = importlib.import_module(
  'internal_diffusion.applications.editing.vary'
)
KEY = jax.random.key(0)
IMAGE = (2 * skimage.data.coffee()[20:400:16, 40:584:16] / 255.0 - 1).astype(
  np.float32
)  # 24x34 pixels.


def low(image):
  return np.asarray(resample(image, (6, 8)))


def distance(first, second):
  return float(np.sqrt(np.mean((first - second) ** 2)))


def test_a_start_goes_from_all_to_nothing():
  starts = [
    following.make_start(IMAGE, IMAGE, patch_size=9, strength=s)
    for s in (1, 0.95, 0.8, 0.5, 0.2)
  ]
  levels = [start.level for start in starts]
  assert levels == sorted(levels)
  assert starts[0].sigma == 0.002
  assert starts[-1].sigma > starts[-2].sigma
  assert following.make_start(IMAGE, IMAGE, patch_size=9, strength=0) is None


def test_the_noise_is_in_units_of_the_contrast():
  both = [
    following.make_start(x, x, patch_size=9, strength=0.9)
    for x in (IMAGE, IMAGE / 2)
  ]
  assert both[0].sigma == pytest.approx(2 * both[1].sigma)


def test_the_palette_of_a_painting():
  same, is_changed = following.match_palette(IMAGE[:, ::-1], IMAGE)
  assert not is_changed
  np.testing.assert_array_equal(same, IMAGE[:, ::-1])
  pale = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 20, 3)) - 0.7
  image = (
    np.random.default_rng(1).standard_normal((30, 30, 3)) / 8
  ) @ np.array([[1, 0.5, 0], [0, 1, 0.2], [0, 0, 1]])
  matched, is_changed = following.match_palette(pale, image)
  assert is_changed
  for statistic in (lambda x: x.mean(0), lambda x: np.cov(x.T)):
    np.testing.assert_allclose(
      statistic(matched.reshape(-1, 3)),
      statistic(image.reshape(-1, 3)),
      atol=1e-3,
    )


def test_a_black_area_is_not_made_of_grass():
  grass = np.random.default_rng(0).choice([-1.0, 1.0], (40, 40, 1))
  black = np.full((20, 20, 1), -1.0)
  _, by_pixels = following.match_palette(black, grass)
  matched, by_patches = following.match_palette(black, grass, patch_size=9)
  assert (by_pixels, by_patches) == (False, True)
  assert abs(matched).max() < 0.2


def test_frames_lie_where_the_path_changes():
  def frame_at(time):
    return np.full((1, 1), np.clip(50 * (time - 0.3), 0, 1))

  ends = np.zeros((1, 1)), np.ones((1, 1))
  frames = vary_lib.spaced(frame_at, *ends, 6)
  values = np.ravel(frames)
  assert len(values) == 6
  assert len(set(values)) >= 5
  assert np.diff(values).max() < 0.5


def test_the_closer_a_painting_is_followed_the_nearer():
  painting = IMAGE[:, ::-1]
  found = [
    paint(KEY, IMAGE, painting, strength=s, num_samples=1).samples[0]
    for s in (0, 0.9, 1)
  ]
  distances = [distance(low(image), low(painting)) for image in found]
  assert distances[0] > distances[1] > distances[2]
  wide = paint(KEY, IMAGE, painting, size=(20, 40), num_samples=1)
  assert wide.samples.shape == (1, 20, 40, 3)
  assert len(wide.traces) == 1


@pytest.mark.parametrize('factor', [2, 3.5, 8])
def test_the_low_band_is_the_references(factor):
  guide = skimage.data.chelsea()[::10, 10:350:10].astype(np.float32) / 127.5 - 1
  edited = reference(KEY, IMAGE, guide, factor=factor, num_samples=2)
  low_size = tuple(edited.found['low_size'])
  assert low_size == tuple(round(side / factor) for side in IMAGE.shape[:2])
  wanted = np.asarray(resample(guide, low_size)).clip(-1, 1)
  rounded = np.rint(edited.samples * 127.5) / 127.5
  for sample in (*edited.samples, *rounded):
    down = make_downscaling(low_size, IMAGE.shape[:2]).apply(sample)
    assert psnr(np.asarray(down), wanted) > 45


def test_variations_go_from_the_picture_to_new_ones():
  found = {
    s: vary(KEY, IMAGE, strength=s, num_samples=2) for s in (0, 0.1, 0.4, 1)
  }
  np.testing.assert_array_equal(found[0].samples[0], IMAGE)
  distances = [distance(edited.samples, IMAGE) for edited in found.values()]
  assert distances == sorted(distances)
  assert found[1].std.mean() > 0.05


def test_a_path_leads_from_one_picture_to_the_other():
  guide = IMAGE[::-1]
  edited = interpolate(KEY, IMAGE, guide=guide, num_samples=3)
  np.testing.assert_array_equal(edited.samples[0], IMAGE)
  np.testing.assert_array_equal(edited.samples[-1], guide)
  to_first = [distance(frame, IMAGE) for frame in edited.samples]
  assert to_first == sorted(to_first)


@pytest.mark.parametrize(
  ('function', 'words'),
  [
    (lambda: paint(KEY, IMAGE, IMAGE[..., :1]), '1 channels'),
    (lambda: paint(KEY, IMAGE, IMAGE, strength=1.5), 'strength'),
    (lambda: paint(KEY, IMAGE, IMAGE, size=(5, 5)), 'size'),
    (lambda: reference(KEY, IMAGE, IMAGE[:3, :3]), 'at least'),
    (lambda: reference(KEY, IMAGE, IMAGE, factor=1), 'factor'),
    (lambda: reference(KEY, IMAGE, IMAGE[..., :1]), '1 channels'),
    (lambda: vary(KEY, IMAGE, strength=-1), 'strength'),
    (lambda: vary(KEY, IMAGE, num_samples=0), 'num_samples'),
    (lambda: interpolate(KEY, IMAGE, guide=IMAGE[..., :1]), '1 channels'),
    (
      lambda: interpolate(KEY, IMAGE, guide=IMAGE, num_samples=1),
      'num_samples',
    ),
    (lambda: paint(KEY, IMAGE, IMAGE[:8]), 'guide.* 8x34.* at least'),
    (
      lambda: remove(KEY, IMAGE, IMAGE[..., 0] > IMAGE.mean(), grow=99),
      'grow. 99',
    ),
  ],
)
def test_what_is_wrong_is_said(function, words):
  with pytest.raises(ValueError, match=words):
    function()
