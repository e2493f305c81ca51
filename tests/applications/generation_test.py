"""Whole images from the patches of one."""

import jax
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import generation, image_model
from internal_diffusion.data import pyramid

KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def image():
  return 2 * skimage.data.coffee()[::8, ::8].astype(np.float32) / 255 - 1


@pytest.fixture(scope='module')
def photograph(image):
  return image_model.prepare(image, patch_size=9)


@pytest.fixture(scope='module')
def generated(photograph):
  return generation.generate(KEY, photograph, num_steps=6)


def nearest(patches, references):
  distance = (patches**2).sum(1)[:, None] - 2 * patches @ references.T
  return np.sqrt((distance + (references**2).sum(1)[None]).min(1).clip(0))


def squares(image, side=5):
  view = np.lib.stride_tricks.sliding_window_view(image, (side, side), (0, 1))
  return view.reshape(-1, image.shape[-1] * side**2)


def test_sizes_halve_to_just_above_a_patch():
  sizes = image_model.level_sizes(160, 241, patch_size=15)
  assert sizes == [(20, 31), (40, 61), (80, 121), (160, 241)]
  assert image_model.level_sizes(16, 99, patch_size=15) == [(16, 99)]
  assert len(image_model.level_sizes(99, 99, patch_size=3, num_levels=2)) == 2
  with pytest.raises(ValueError, match='coarsest level'):
    image_model.level_sizes(40, 40, patch_size=15, num_levels=3)


def test_every_small_patch_is_like_one_of_the_photograph(image, generated):
  assert [level.shape for level in generated] == [
    (13, 19, 3),
    (25, 38, 3),
    (50, 75, 3),
  ]
  made = generated[-1]
  assert np.abs(made).max() <= 1
  assert made.std() > 0.7 * image.std()
  error = nearest(squares(made)[::7], squares(image)) / np.sqrt(75)
  assert np.median(error) < 0.05
  assert np.abs(made - image).mean() > 0.05  # It is not the photograph.


def test_a_key_gives_one_image_bit_for_bit(photograph, generated):
  again = generation.generate(KEY, photograph, num_steps=6)
  other = generation.generate(jax.random.key(1), photograph, num_steps=6)
  np.testing.assert_array_equal(again[-1], generated[-1])
  assert np.abs(other[-1] - generated[-1]).mean() > 0.05


def test_pixels_are_from_where_the_map_says(image, photograph, generated):
  source = generation.find_sources(photograph, generated[-1])
  row, column = np.moveaxis(source, -1, 0)
  error = np.abs(image[row, column] - generated[-1]).mean(axis=-1)
  assert np.median(error) < 0.06


def test_the_photograph_is_from_where_it_is(image, photograph):
  source = generation.find_sources(photograph, image)
  places = np.moveaxis(np.indices(image.shape[:2]), 0, -1)
  assert (np.abs(source - places) <= 1).all(axis=-1).mean() > 0.9


@pytest.mark.parametrize('size', [(40, 120), (77, 61)])
def test_any_size(photograph, size):
  made = generation.generate(KEY, photograph, size=size, num_steps=4)
  assert made[-1].shape == (*size, 3)
  assert generation.find_sources(photograph, made[-1]).shape == (*size, 2)
  assert np.isfinite(made[-1]).all()


def test_the_layout_of_a_start_is_kept(image, photograph):
  wide = np.repeat(image, 2, axis=1)
  made = generation.generate(
    KEY,
    photograph,
    size=wide.shape[:2],
    num_steps=8,
    start=image,
    start_sigma=0.6,
  )
  free = generation.generate(KEY, photograph, size=wide.shape[:2], num_steps=8)
  wanted = _coarse(wide)
  errors = [np.abs(m[0] - wanted).mean() for m in (made, free)]
  assert errors[0] < 0.75 * errors[1]


def test_a_finer_start_keeps_another_pictures_layout(image, photograph):
  other = np.flip(image, (0, 1)).copy()
  size = other.shape[:2]
  last = len(photograph.levels) - 1
  made = [
    generation.generate(
      KEY,
      photograph,
      num_steps=6,
      start=other,
      start_sigma=0.4,
      start_level=level,
    )
    for level in (0, last)
  ]
  assert [len(m) for m in made] == [last + 1, 1]
  errors = [np.abs(m[-1] - other).mean() for m in made]
  assert errors[1] < errors[0]
  # A level is one that shows things if it is eight patches high.
  side = 8 * photograph.patch_size
  assert generation.structure_level(photograph, size) == last
  assert generation.structure_level(photograph, (4 * side, 6 * side)) == max(
    0, last - 2
  )


def test_retargeting_goes_as_coarse_as_a_patch_fits():
  assert image_model.most_levels(120, 160, patch_size=15) == 4
  assert image_model.most_levels(28, 160, patch_size=15) == 1
  assert image_model.most_levels(30, 30, patch_size=15) == 2


def _coarse(image):
  return np.asarray(pyramid.resample(jax.numpy.asarray(image), (13, 38)))


def test_tiles_fit_together(photograph):
  made = generation.generate(
    KEY, photograph, size=(64, 64), num_steps=6, tileable=True
  )[-1]
  for axis in (0, 1):
    steps = np.abs(np.diff(made, axis=axis)).mean(axis=(1 - axis, 2))
    seam = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
    assert seam < np.quantile(steps, 0.99) + 1e-6


@pytest.mark.parametrize('axis', [0, 1])
def test_symmetric_is_exactly_so(image, axis):
  photograph = image_model.prepare(image, patch_size=9, mirrored=axis)
  made = generation.generate(KEY, photograph, num_steps=4, symmetric=True)
  finest = made[-1]
  np.testing.assert_array_equal(finest, np.flip(finest, axis))
  source = generation.find_sources(photograph, finest)
  assert source[..., axis].max() < image.shape[axis]


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'size': (5, 50)}, 'smaller than a patch'),
    ({'size': (10**6, 10**6)}, 'would fit'),
    ({'num_steps': 1}, 'num_steps'),
    ({'start_sigma': 0}, 'start_sigma'),
    ({'start_level': 9}, 'start_level'),
    ({'symmetric': True}, 'mirrored'),
    ({'start': np.zeros((20, 20, 1))}, '1 channels'),
  ],
)
def test_bad_options(photograph, options, words):
  with pytest.raises(ValueError, match=words):
    generation.generate(KEY, photograph, **options)


def test_image_smaller_than_a_patch():
  with pytest.raises(ValueError, match='patch_size'):
    image_model.prepare(np.zeros((8, 20, 3), np.float32))
