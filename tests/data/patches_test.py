import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import patches, pyramid


@pytest.fixture
def image():
  return jax.random.uniform(jax.random.key(0), (19, 23, 3), minval=-1, maxval=1)


@pytest.fixture
def stack(image):
  levels = pyramid.build_pyramid(image, scale_factor=0.7, min_side=9)
  return pyramid.stack_pyramid(levels)


@pytest.mark.parametrize('patch_size', [1, 3, 7, 19])
def test_extraction_gives_the_slices(image, patch_size):
  found = patches.extract_patches(image, patch_size=patch_size)
  rows, columns = 19 - patch_size + 1, 23 - patch_size + 1
  assert found.shape == (rows, columns, patch_size**2 * 3)
  for row, column in [(0, 0), (rows - 1, columns - 1), (0, columns // 2)]:
    piece = image[row : row + patch_size, column : column + patch_size]
    np.testing.assert_array_equal(found[row, column], piece.reshape(-1))


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('uniform', [True, False])
def test_averaging_inverts_extraction(image, stride, uniform):
  window = None if uniform else jnp.exp(-jnp.arange(25.0).reshape(5, 5) / 9)
  found = patches.extract_patches(image, patch_size=5, stride=stride)
  back = patches.average_patches(
    found, size=(19, 23), patch_size=5, stride=stride, window=window
  )
  height = (19 - 5) // stride * stride + 5
  width = (23 - 5) // stride * stride + 5
  covered = image[:height, :width]
  np.testing.assert_allclose(back[:height, :width], covered, atol=1e-5)
  assert (back[height:] == 0).all()


def test_averaging_weighs_by_the_window():
  # Two patches of a row, 0 and 1, overlap in two columns of a 3x4 image.
  values = jnp.stack([jnp.zeros(9), jnp.ones(9)])[None]
  window = jnp.broadcast_to(jnp.array([1.0, 2.0, 4.0]), (3, 3))
  mean = patches.average_patches(
    values, size=(3, 4), patch_size=3, window=window
  )
  np.testing.assert_allclose(mean[0, :, 0], [0, 1 / 3, 2 / 6, 1], rtol=1e-6)


def test_gathering_agrees_with_extraction(stack):
  level = jnp.array([0, 1, 2, 0])
  row, column = jnp.array([0, 3, 1, 12]), jnp.array([5, 2, 0, 16])
  found = patches.gather_patches(stack, level, row, column, patch_size=7)
  for i in range(4):
    size = int(stack.heights[level[i]]), int(stack.widths[level[i]])
    one_level = stack.images[level[i], : size[0], : size[1]]
    dense = patches.extract_patches(one_level, patch_size=7)
    np.testing.assert_array_equal(found[i], dense[row[i], column[i]])


@pytest.mark.parametrize('patch_size', [0, -3, 4, 2.0, True])
def test_patch_size_must_be_odd_and_positive(image, patch_size):
  with pytest.raises(ValueError, match='patch_size'):
    patches.extract_patches(image, patch_size=patch_size)


def test_patches_of_another_image_are_refused(image):
  found = patches.extract_patches(image, patch_size=5)
  with pytest.raises(ValueError, match='do not come from'):
    patches.average_patches(found, size=(23, 19), patch_size=5)


def test_boxes_of_a_clip_and_their_average():
  clip = jax.random.normal(jax.random.key(0), (5, 8, 9, 2))
  shape, stride = (3, 5, 3), (1, 2, 1)
  found = patches.extract_patches(clip, patch_size=shape, stride=stride)
  assert found.shape == (3, 2, 7, 3 * 5 * 3 * 2)
  np.testing.assert_array_equal(found[1, 1, 4], clip[1:4, 2:7, 4:7].reshape(-1))
  dense = patches.extract_patches(clip, patch_size=shape)
  average = patches.average_patches(dense, size=(5, 8, 9), patch_size=shape)
  np.testing.assert_allclose(average, clip, atol=1e-6)
  cropped = patches.crop_patches(
    found.reshape(-1, 90), patch_size=shape, size=(1, 3, 1)
  )
  np.testing.assert_array_equal(cropped[0], clip[1:2, 1:4, 1:2].reshape(-1))
  with pytest.raises(ValueError, match='must have 3 sides'):
    patches.extract_patches(clip, patch_size=3)
