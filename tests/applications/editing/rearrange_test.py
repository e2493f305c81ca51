"""A region at another place."""

import importlib

import jax
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications.editing import Mirror, Place, rearrange

MODULE = importlib.import_module(
  'internal_diffusion.applications.editing.rearrange'
)
KEY = jax.random.key(0)
IMAGE = (2 * skimage.data.coffee()[20:400:8, 40:584:8] / 255.0 - 1).astype(
  np.float32
)  # 48x68 pixels.
MASK = np.zeros((48, 68), bool)
MASK[20:30, 30:44] = True


def test_a_shift_copies_pixels():
  region, weight = MODULE.moved(IMAGE, MASK, Place(move=(5, -12)))
  landed = np.roll(MASK, (5, -12), (0, 1))
  np.testing.assert_array_equal(weight > 0.5, landed)
  np.testing.assert_array_equal(
    region[landed], np.roll(IMAGE, (5, -12), (0, 1))[landed]
  )


@pytest.mark.parametrize(
  ('mirror', 'axis'), [(Mirror.HORIZONTAL, 1), (Mirror.VERTICAL, 0)]
)
def test_a_mirrored_region_stays_at_its_place(mirror, axis):
  region, weight = MODULE.moved(IMAGE, MASK, Place(mirror=mirror))
  np.testing.assert_array_equal(weight > 0.5, MASK)
  inside = IMAGE[20:30, 30:44]
  np.testing.assert_allclose(
    region[20:30, 30:44], np.flip(inside, axis), atol=1e-6
  )


def test_a_scale_changes_the_area():
  for scale in (0.5, 1.5):
    _, weight = MODULE.moved(IMAGE, MASK, Place(scale=scale))
    area = (weight > 0.5).sum() / MASK.sum()
    assert area == pytest.approx(scale**2, rel=0.25)


def test_a_copy_changes_nothing_but_its_place():
  edited = rearrange(
    KEY, IMAGE, MASK, Place(move=(10, -20)), copy=True, num_samples=2
  )
  landed = np.roll(MASK, (10, -20), (0, 1))
  np.testing.assert_array_equal(edited.samples[0][~landed], IMAGE[~landed])
  assert not edited.std.any()
  assert set(edited.found['tones']) == {'gain', 'exponent', 'hue_degrees'}


def test_what_a_moved_region_leaves_is_filled():
  edited = rearrange(KEY, IMAGE, MASK, Place(move=(12, -20)), num_samples=1)
  landed = np.roll(MASK, (12, -20), (0, 1))
  hole = MODULE.grow_mask(MASK, 1)
  changed = (edited.samples[0] != IMAGE).any(-1)
  assert changed[MASK].mean() > 0.9
  assert not changed[~(landed | hole)].any()


@pytest.mark.parametrize(
  ('place', 'words'),
  [
    (Place(), 'must change'),
    (Place(move=(19, 0)), 'rows may move by -20 to 18'),
    (Place(move=(0, -31)), 'columns may move by -30 to 24'),
    (Place(scale=6), 'larger than the picture'),
  ],
)
def test_what_is_wrong_is_said(place, words):
  with pytest.raises(ValueError, match=words):
    rearrange(KEY, IMAGE, MASK, place)


def test_a_scale_out_of_range():
  with pytest.raises(ValueError, match='scale'):
    Place(scale=0)
