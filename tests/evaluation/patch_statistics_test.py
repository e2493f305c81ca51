"""Known answers, and nearest neighbours against a k-d tree."""

import json

import jax
import numpy as np
import pytest
import skimage.data
from scipy import ndimage
from scipy.spatial import cKDTree

from internal_diffusion.evaluation import (
  image_report,
  nearest_patches,
  patch_statistics,
)

KEY = jax.random.key(0)


def uniform(seed, shape):
  rng = np.random.default_rng(seed)
  return rng.uniform(-1, 1, size=shape).astype(np.float32)


def photograph():
  pixels = skimage.data.coffee()[::8, ::8].astype(np.float32)
  return pixels[:44, :60] / 127.5 - 1


def blur(image, stddev):
  return ndimage.gaussian_filter(image, (stddev, stddev, 0))


def all_patches(image, size):
  height, width, _ = image.shape
  return np.stack(
    [
      image[row : row + size, column : column + size].ravel()
      for row in range(height - size + 1)
      for column in range(width - size + 1)
    ]
  )


# Nearest neighbours.


def test_neighbours_are_those_of_a_tree():
  image, reference = uniform(0, (14, 11, 3)), uniform(1, (12, 17, 3))
  tree = cKDTree(all_patches(reference, 5).astype(np.float64))
  distance, index = tree.query(all_patches(image, 5)[::2])
  nearest = nearest_patches.find_nearest_patches(
    image, reference, patch_size=5, query_stride=2
  )
  np.testing.assert_allclose(nearest.distance, distance / np.sqrt(75), 1e-6)
  position = np.stack(np.divmod(index, 17 - 5 + 1), axis=-1)
  np.testing.assert_array_equal(nearest.position, position)
  query = np.stack(np.divmod(np.arange(0, 10 * 7, 2), 11 - 5 + 1), axis=-1)
  np.testing.assert_array_equal(nearest.query, query)


@pytest.mark.parametrize(
  ('query_chunk', 'bank_chunk'), [(1024, 4096), (7, 64), (300, 1), (100, 7)]
)
def test_all_candidates_are_those_of_a_tree_in_any_chunks(
  query_chunk, bank_chunk
):
  for size in (3, 8, 200):
    queries, bank = uniform(0, (100, 12)), uniform(1, (size, 12))
    num = min(8, size)
    distance, index = cKDTree(bank.astype(np.float64)).query(queries, k=num)
    indices, squares = nearest_patches.nearest_vectors(
      queries, bank, query_chunk=query_chunk, bank_chunk=bank_chunk
    )
    np.testing.assert_array_equal(indices, index)
    np.testing.assert_allclose(squares, distance**2 / 12, rtol=1e-5)


def test_small_distances_survive_float32():
  # Far from the origin, |q|^2 + |r|^2 - 2 q.r would lose them.
  reference = 0.9 + 1e-3 * uniform(0, (20, 20, 1))
  image = reference[:12, :12] + np.float32(2e-5)
  nearest = nearest_patches.find_nearest_patches(
    image, reference, query_stride=1
  )
  np.testing.assert_array_equal(nearest.position, nearest.query)
  np.testing.assert_allclose(nearest.distance, np.full(36, 2e-5), rtol=1e-2)


# The image itself, copies and parts of it.


def test_the_image_itself_is_perfect_and_a_copy():
  image = photograph()
  compared = image_report.compare_images(KEY, [image, image], image)
  perfect = {
    'sliced_wasserstein': 0,
    'coherence': 0,
    'completeness': 0,
    'detail_level_0': 1,
    'detail_level_1': 1,
    'detail_level_2': 1,
    'copied_fraction': 1,
  }
  assert compared == {
    'images': [perfect, perfect],
    'mean': perfect,
    'pixel_diversity': 0,
    'neighbour_diversity': 0,
  }
  assert json.loads(json.dumps(compared, allow_nan=False)) == compared


def test_a_part_is_coherent_but_not_complete():
  image = photograph()
  part = image[3:30, 5:40]
  forth, back = (
    image_report.compare_images(KEY, [first], second)['mean']
    for first, second in ((part, image), (image, part))
  )
  assert forth['coherence'] == back['completeness'] == 0
  assert forth['completeness'] == back['coherence'] > 0.01


def copied_fraction(image, reference):
  nearest = nearest_patches.find_nearest_patches(image, reference)
  return patch_statistics.copied_fraction(nearest, image, reference)


def test_a_moved_copy_is_copied_but_for_its_seam():
  image = uniform(0, (40, 40, 1))
  assert copied_fraction(image[3:30, 5:40], image) == 1
  moved = np.roll(image, 10, axis=1)
  # Of 34 columns of patches 24 lie beyond the seam, 4 before it, 6 across.
  all_nearest = nearest_patches.find_nearest_patches(
    moved, image, query_stride=1
  )
  share = patch_statistics.copied_fraction(all_nearest, moved, image)
  assert share == pytest.approx(24 / 34)


def test_flat_areas_do_not_hide_a_copy():
  image = np.zeros((40, 40, 1), np.float32)
  image[15:25, 15:25] = uniform(0, (10, 10, 1))
  assert copied_fraction(image, image) == 1


def test_another_draw_of_one_texture_is_no_copy():
  assert (
    copied_fraction(uniform(0, (40, 40, 1)), uniform(1, (40, 40, 1))) < 0.05
  )


def test_a_constant_offset_is_its_own_distance():
  image = 0.9 * uniform(0, (20, 20, 3))
  nearest = nearest_patches.find_nearest_patches(image + 0.01, image)
  np.testing.assert_allclose(nearest.distance, 0.01, rtol=1e-4)


# Sliced Wasserstein.


def test_wasserstein_does_not_see_where_patches_lie_or_how_many():
  # All 7 x 7 patches of a torus once, and twice; too small for other scales.
  tile = uniform(0, (7, 7, 1))
  once = np.pad(tile, ((0, 6), (0, 6), (0, 0)), mode='wrap')
  twice = np.pad(tile, ((0, 6), (0, 13), (0, 0)), mode='wrap')
  moved = np.roll(twice, (2, 3), axis=(0, 1))[:, :19]
  other = uniform(1, once.shape)
  same, across_the_seam, different = (
    patch_statistics.multiscale_sliced_wasserstein(KEY, image, once)
    for image in (twice, moved, other)
  )
  assert same == pytest.approx(0, abs=1e-6)
  assert across_the_seam > 0.01
  assert different > 0.01


def test_wasserstein_of_a_shift_of_all_values():
  image = 0.5 * uniform(0, (40, 40, 1))
  found = patch_statistics.multiscale_sliced_wasserstein(
    KEY, image + 0.2, image, num_projections=2000
  )
  # The mean of |v| times the absolute value of a standard normal number.
  assert found == pytest.approx(0.2 * np.sqrt(2 / np.pi), rel=0.05)


def test_wasserstein_is_symmetric_and_leaves_out_scales_that_do_not_fit():
  image, other = uniform(0, (9, 13, 3)), uniform(1, (30, 40, 3))
  forth = patch_statistics.multiscale_sliced_wasserstein(KEY, image, other)
  back = patch_statistics.multiscale_sliced_wasserstein(KEY, other, image)
  assert forth == pytest.approx(back)
  assert 0 < forth < 1


# Detail.


def test_blur_takes_the_finest_detail_first():
  image = photograph()
  fine, middle, coarse = patch_statistics.detail_ratios(blur(image, 0.8), image)
  assert 0.1 < fine < middle < coarse < 1.01
  assert fine < 0.6


def test_detail_is_proportional_to_contrast_and_blind_to_brightness():
  image = photograph()
  ratios = patch_statistics.detail_ratios(
    0.25 * image + 0.5, image, num_bands=4
  )
  np.testing.assert_allclose(ratios, [0.25] * 4, rtol=1e-5)


def test_a_band_in_which_the_reference_is_empty_has_no_ratio():
  flat = np.zeros((20, 20, 1), np.float32)
  assert np.isnan(
    patch_statistics.detail_ratios(uniform(0, (20, 20, 1)), flat)
  ).all()


# Diversity.


def test_pixel_diversity_of_two_images():
  reference = uniform(0, (20, 30, 3))
  image = 0.5 * uniform(1, (16, 16, 3))
  found = patch_statistics.pixel_diversity([image, image + 0.2], reference)
  assert found == pytest.approx(0.1 / reference.mean(axis=-1).std(), rel=1e-4)


def test_neighbour_diversity_allows_one_pixel():
  image = uniform(0, (40, 40, 1))

  def field(row, column):
    window = image[row : row + 20, column : column + 20]
    return nearest_patches.find_nearest_patches(window, image)

  here, near, far = field(5, 5), field(6, 4), field(5, 7)
  assert patch_statistics.neighbour_diversity([here, here]) == 0
  assert patch_statistics.neighbour_diversity([here, near]) == 0
  assert patch_statistics.neighbour_diversity([here, far]) == 1
  # Of three pairs two are far apart.
  assert patch_statistics.neighbour_diversity(
    [here, near, far]
  ) == pytest.approx(2 / 3)


def test_diversities_need_several_images_of_one_size():
  image = photograph()
  names = {'pixel_diversity', 'neighbour_diversity'}
  one = image_report.compare_images(KEY, [image], image)
  two = image_report.compare_images(KEY, [image, image[:-4]], image)
  assert not names & set(one)
  assert not names & set(two)
  assert two['images'][0] == one['images'][0]


# What is refused.


@pytest.mark.parametrize(
  ('shape', 'options', 'message'),
  [
    ((5, 20, 3), {}, r'`generated\[0\]`'),
    ((20, 20, 1), {}, r'`generated\[0\]`.*same channels.*1 and 3'),
    ((20, 20), {}, r'`generated\[0\]` must be \[H, W, C\]'),
    ((20, 20, 3), {'patch_size': 4}, r'`patch_size` must be odd.*4'),
    ((20, 20, 3), {'patch_size': 21}, r'`patch_size` 21 is larger'),
    ((20, 20, 3), {'query_stride': 0}, r'`query_stride`.*0'),
    ((20, 20, 3), {'num_projections': 0}, r'`num_projections`.*0'),
  ],
)
def test_wrong_arguments_are_refused(shape, options, message):
  image, reference = uniform(0, shape), uniform(1, (24, 24, 3))
  with pytest.raises(ValueError, match=message):
    image_report.compare_images(KEY, [image], reference, **options)


def test_wrong_sets_of_images_are_refused():
  image = uniform(0, (20, 20, 3))
  with pytest.raises(ValueError, match='at least one image'):
    image_report.compare_images(KEY, [], image)
  with pytest.raises(ValueError, match=r'`generated\[1\]`.*\[-1, 1\]'):
    image_report.compare_images(KEY, [image, 255 * image], image)
  with pytest.raises(ValueError, match='`reference` must vary'):
    image_report.compare_images(KEY, [image], 0 * image)
  with pytest.raises(ValueError, match=r'`num_bands`.*0'):
    patch_statistics.detail_ratios(image, image, num_bands=0)
  with pytest.raises(ValueError, match='two images, got 1'):
    patch_statistics.pixel_diversity([image], image)
  with pytest.raises(ValueError, match='one size'):
    patch_statistics.pixel_diversity([image, image[1:]], image)
  fields = [
    nearest_patches.find_nearest_patches(x, image) for x in (image, image[1:])
  ]
  with pytest.raises(ValueError, match='two images, got 1'):
    patch_statistics.neighbour_diversity(fields[:1])
  with pytest.raises(ValueError, match='same `query`'):
    patch_statistics.neighbour_diversity(fields)
