"""Marks of colour on a grey picture."""

import numpy as np
import pytest

from internal_diffusion.applications.restoration import scribbles as lib


def picture_and_marks():
  """Grey picture [20, 24, 1], and the same with a red and a blue square."""
  image = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 24, 1))
  image = image.astype(np.float32)
  marked = np.repeat(image, 3, axis=-1)
  marked[2:6, 2:6] = (1, -1, -1)
  marked[10:14, 15:19] = (-1, -1, 1)
  return image, marked


def test_marks_are_where_the_pictures_differ():
  image, marked = picture_and_marks()
  marks = lib.find_marks(image, marked, max_points=100)
  assert len(marks.row) == 32
  assert np.bincount(marks.group).tolist() == [16, 16]
  red = marks.row < 8
  np.testing.assert_allclose(
    marks.chroma[red], np.tile([1 - 0.299, -0.299], (16, 1)), atol=1e-6
  )
  few = lib.find_marks(image, marked, max_points=10)
  assert len(few.row) <= 10
  assert few.group.max() == 1


def test_marks_are_where_a_layer_is_opaque():
  image, marked = picture_and_marks()
  alpha = -np.ones_like(image)
  alpha[2:6, 2:6] = 1
  layer = np.concatenate([marked, alpha], axis=-1)
  mask = lib.mask_of_marks(image, layer)
  np.testing.assert_array_equal(mask, alpha[..., 0] > 0)
  # An opaque layer is a picture with marks.
  alpha[:] = 1
  layer = np.concatenate([marked, alpha], axis=-1)
  assert lib.mask_of_marks(image, layer).sum() == 32


def test_a_long_stroke_is_several_groups():
  image = np.zeros((20, 200, 1), np.float32)
  marked = np.zeros((20, 200, 3), np.float32)
  marked[8:12, 5:195, 0] = 1
  marks = lib.find_marks(image, marked, max_points=200)
  assert marks.group.max() == 3


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda m: m[..., :1], r'`scribbles` must be \[H, W, 3\]'),
    (lambda m: m[1:], r'`scribbles` must have the size .*19, 24'),
    (lambda m: 0 * m, '`scribbles` must differ from the picture'),
    (
      lambda m: np.concatenate([m, -np.ones((20, 24, 1))], -1),
      '`scribbles` must be opaque somewhere',
    ),
  ],
)
def test_wrong_scribbles_are_refused(change, message):
  image, marked = picture_and_marks()
  with pytest.raises(ValueError, match=message):
    lib.mask_of_marks(0 * image, change(marked))


def test_luminance_and_chroma_of_a_colour():
  image = np.full((1, 1, 3), (1, 0, -1), np.float32)  # (1, 1/2, 0) of 1.
  y = 0.299 + 0.587 / 2
  np.testing.assert_allclose(lib.luminance_of(image), [[y]], rtol=1e-6)
  np.testing.assert_allclose(lib.chroma_of(image), [[[1 - y, -y]]], rtol=1e-6)
