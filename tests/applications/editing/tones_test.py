"""Maps of tones, and the object that they are estimated from."""

import jax
import numpy as np
import pytest
import skimage.data
from scipy import ndimage

from internal_diffusion.applications.editing import harmonize, tones

IMAGE = (2 * skimage.data.astronaut()[:160:2, 100:260:2] / 255.0 - 1).astype(
  np.float32
)  # 80x80 pixels.
ROWS, COLUMNS = np.mgrid[:80, :80]
MASK = np.hypot(ROWS - 40, COLUMNS - 40) < 18


def changed(image, parameters):
  values = tones.apply_tones((image[MASK] + 1.0) / 2, np.array(parameters))
  pasted = image.copy()
  pasted[MASK] = 2 * values.clip(0, 1) - 1
  return pasted


def error(picture, image):
  return np.sqrt(np.mean((picture[MASK] - image[MASK]) ** 2))


@pytest.mark.parametrize('num_channels', [1, 3])
def test_zeros_change_nothing(num_channels):
  values = np.random.default_rng(0).uniform(0.01, 1, (50, num_channels))
  zeros = np.zeros(2 if num_channels == 1 else 6)
  np.testing.assert_allclose(tones.apply_tones(values, zeros), values)


def test_the_hue_keeps_the_mean_and_greys():
  values = np.random.default_rng(0).uniform(0.3, 0.6, (50, 3))
  values[0] = 0.4
  turned = tones.apply_tones(values, np.array([0, 0, 0.7, 0, 0, 0]))
  np.testing.assert_allclose(turned.mean(-1), values.mean(-1))
  np.testing.assert_allclose(turned[0], 0.4)
  back = tones.apply_tones(turned, np.array([0, 0, -0.7, 0, 0, 0]))
  np.testing.assert_allclose(back, values, atol=1e-12)


@pytest.mark.parametrize(
  'parameters',
  [(-0.5, 0, 0, 0, 0, 0), (0, 0.4, 0, 0, 0, 0), (0, 0, 0.6, 0, 0, 0)],
)
def test_changed_tones_are_found(parameters):
  pasted = changed(IMAGE, parameters)
  edited = harmonize(jax.random.key(0), pasted, mask=MASK, num_samples=1)
  assert error(edited.samples[0], IMAGE) < 0.4 * error(pasted, IMAGE)
  np.testing.assert_array_equal(edited.samples[0][~MASK], pasted[~MASK])
  assert not edited.std.any()


def test_what_fits_already_stays():
  edited = harmonize(jax.random.key(0), IMAGE, mask=MASK, num_samples=1)
  assert error(edited.samples[0], IMAGE) < 0.08


def test_all_answers_leave_what_fits_nearly_as_it_is():
  found = tones.fit_tones((IMAGE + 1.0) / 2, MASK)
  best = tones.apply_tones((IMAGE[MASK] + 1) / 2, found.mode)
  drawn = tones.draw_tones(np.random.default_rng(0), found, 20)
  moved = [
    np.sqrt(np.mean((tones.apply_tones((IMAGE[MASK] + 1) / 2, p) - best) ** 2))
    for p in drawn
  ]
  assert min(moved) > 0
  assert max(moved) < 12 / 255
  again = tones.draw_tones(np.random.default_rng(0), found, 20)
  np.testing.assert_array_equal(again, drawn)
  assert tones.draw_tones(np.random.default_rng(0), found, 0).shape == (0, 6)


def test_a_grey_picture_and_a_strength():
  grey = IMAGE.mean(-1, keepdims=True)
  pasted = changed(grey, (-0.5, 0.0))
  errors = [
    error(
      harmonize(
        jax.random.key(0), pasted, mask=MASK, strength=s, num_samples=1
      ).samples[0],
      grey,
    )
    for s in (0, 0.5, 1)
  ]
  assert errors[0] == pytest.approx(error(pasted, grey), abs=1e-6)
  assert errors[0] > errors[1] > errors[2]


def test_a_soft_border_changes_with_the_object():
  share = ndimage.gaussian_filter(MASK.astype(np.float64), 1.5)
  share = np.where(share > 0.99, 1, np.where(share < 0.01, 0, share))
  tones_of = tones.apply_tones((IMAGE + 1.0) / 2, np.array([-0.5, *[0] * 5]))
  part = share[..., None]
  pasted = part * (2 * tones_of - 1) + (1 - part) * IMAGE
  pasted = pasted.astype(np.float32)
  edited = harmonize(jax.random.key(0), pasted, mask=share, num_samples=2)
  border = (share > 0) & (share < 1)
  errors = [
    np.sqrt(np.mean((picture[border] - IMAGE[border]) ** 2))
    for picture in (edited.samples[0], pasted)
  ]
  assert errors[0] < 0.5 * errors[1]
  assert error(edited.samples[0], IMAGE) < 0.5 * error(pasted, IMAGE)
  np.testing.assert_array_equal(
    edited.samples[1][share == 0], pasted[share == 0]
  )


def test_answers_differ_in_the_object_only():
  edited = harmonize(
    jax.random.key(0), changed(IMAGE, (-0.5, *[0] * 5)), mask=MASK
  )
  assert len(edited.samples) == len(edited.found['tones']) == 4
  assert (edited.std[MASK].mean(-1) > 0).all()
  assert not edited.std[~MASK].any()
  again = harmonize(
    jax.random.key(0), changed(IMAGE, (-0.5, *[0] * 5)), mask=MASK
  )
  np.testing.assert_array_equal(again.samples, edited.samples)


def test_the_object_is_what_differs_from_the_background():
  background = IMAGE.copy()
  background[MASK] = -background[MASK]
  edited = harmonize(
    jax.random.key(0), IMAGE, background=background, num_samples=1
  )
  differs = (edited.samples[0] != IMAGE).any(-1)
  assert (differs & ~ndimage.binary_dilation(MASK)).sum() == 0
  assert differs[MASK].mean() > 0.9


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    ({'mask': None}, 'required'),
    ({'mask': None, 'background': IMAGE}, 'nowhere'),
    ({'mask': None, 'background': IMAGE[:40]}, 'shape'),
    ({'mask': np.ones((80, 80), bool)}, 'white everywhere'),
    ({'mask': ROWS == 3}, 'border'),
    ({'mask': ROWS - 40.0}, 'in .0, 1.'),
    ({'mask': MASK / 2}, 'white at some'),
    ({'strength': 2}, 'strength'),
    ({'num_samples': 0}, 'num_samples'),
  ],
)
def test_what_is_wrong_is_said(change, words):
  given = {'mask': MASK, **change}
  with pytest.raises(ValueError, match=words):
    harmonize(jax.random.key(0), IMAGE, **given)
