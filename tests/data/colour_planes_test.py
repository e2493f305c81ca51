import numpy as np
import pytest
import skimage.color

from internal_diffusion.data.colour_planes import from_planes, to_planes


def random_image(num_channels):
  values = np.random.default_rng(0).uniform(-1, 1, size=(6, 5, num_channels))
  return values.astype(np.float32)


@pytest.mark.parametrize('num_channels', [1, 2, 3, 4])
def test_planes_make_the_image_again(num_channels):
  image = random_image(num_channels)
  planes = to_planes(image)
  assert planes.shape == (num_channels, 6, 5)
  assert planes.dtype == np.float32
  np.testing.assert_allclose(from_planes(planes), image, atol=1e-6)


def test_first_plane_is_the_luma_of_another_library():
  image = random_image(3)
  luma = skimage.color.rgb2ycbcr((image + 1) / 2)[..., 0]
  # That is 16 for black and 235 for white.
  expected = 2 * (luma - 16) / 219 - 1
  np.testing.assert_allclose(to_planes(image)[0], expected, atol=1e-4)


def test_grey_has_no_colour_planes():
  grey = random_image(1)
  planes = to_planes(np.repeat(grey, 3, axis=-1))
  np.testing.assert_allclose(planes[0], grey[..., 0], atol=1e-6)
  np.testing.assert_allclose(planes[1:], 0, atol=1e-6)


@pytest.mark.parametrize('num_channels', [1, 2, 4])
def test_channels_that_are_no_colours_are_kept(num_channels):
  image = random_image(num_channels)
  kept = 3 if num_channels > 3 else 0
  planes = to_planes(image)
  np.testing.assert_array_equal(
    planes[kept:], np.moveaxis(image[..., kept:], -1, 0)
  )
