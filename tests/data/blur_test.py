"""The blur of a larger scene against plain convolution."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal
from skimage import data

from internal_diffusion.data.blur import make_blur

KERNEL = np.outer([1, 3, 4, 2, 0], [0, 1, 2]) / 30


def gaussian(std, half):
  profile = np.exp(-0.5 * (np.arange(-half, half + 1) / std) ** 2)
  return np.outer(profile, profile) / profile.sum() ** 2


@pytest.fixture(scope='module')
def scene():
  pixels = data.camera()[60:160, 180:290, None]
  return jnp.asarray(pixels / 127.5 - 1, jnp.float32)


@pytest.mark.parametrize('kernel', [KERNEL, KERNEL.T, np.ones((1, 7)) / 7])
def test_it_is_the_valid_part_of_a_convolution(scene, kernel):
  size = tuple(
    s - k + 1 for s, k in zip(scene.shape[:2], kernel.shape, strict=True)
  )
  blur = make_blur(size, kernel)
  assert blur.input_size == scene.shape[:2]
  wanted = signal.convolve2d(scene[..., 0], kernel, mode='valid')
  np.testing.assert_allclose(blur.apply(scene)[..., 0], wanted, atol=1e-5)


def test_the_picture_lies_in_the_middle_of_the_scene(scene):
  point = np.zeros((5, 3))
  point[2, 1] = 1
  blur = make_blur((96, 108), point)
  picture = blur.apply(scene)
  assert blur.margin == (2, 1)
  np.testing.assert_allclose(picture, blur.crop(scene), atol=1e-6)
  np.testing.assert_array_equal(blur.crop(blur.interpolate(picture)), picture)


def test_axes_before_the_scene_are_kept(scene):
  scenes = jnp.stack([scene, -scene])[:, None]
  blur = make_blur((96, 108), KERNEL)
  blurred = blur.apply(scenes)
  assert blurred.shape == (2, 1, 96, 108, 1)
  np.testing.assert_allclose(blurred[1, 0], -blur.apply(scene), atol=1e-5)


def test_few_steps_come_close_to_the_solution(scene):
  blur = make_blur((86, 96), gaussian(2.0, 7))
  y = blur.apply(scene)
  start = blur.interpolate(y)
  options = {'noise_std': 0.01, 'sigma': 0.2}
  exact = blur.prox(start, y, **options, num_steps=500)
  few = blur.prox(start, y, **options, num_steps=8)
  error = float(jnp.sqrt(jnp.mean((few - exact) ** 2)))
  assert error < 0.05 * float(jnp.sqrt(jnp.mean((exact - start) ** 2)))


def test_it_rings_less_at_the_border_than_a_periodic_picture(scene):
  blur = make_blur((86, 96), gaussian(1.5, 7))
  y = blur.apply(scene)
  start = blur.interpolate(y)
  ours = blur.crop(blur.prox(start, y, noise_std=0.01, sigma=0.2))
  # The same least squares for a picture whose opposite borders meet.
  kernel = np.zeros((86, 96))
  kernel[:15, :15] = gaussian(1.5, 7)
  transfer = np.fft.rfft2(np.roll(kernel, (-7, -7), (0, 1)))
  spectrum = np.fft.rfft2(np.asarray(y)[..., 0])
  gain = np.conj(transfer) / (np.abs(transfer) ** 2 + 0.05**2)
  periodic = spectrum + gain * (spectrum - transfer * spectrum)
  periodic = np.fft.irfft2(periodic, (86, 96))[..., None]

  def border_error(image):
    error = np.abs(np.asarray(image - blur.crop(scene)))
    return np.concatenate([error[:7], error[-7:]]).mean()

  assert border_error(ours) < 0.5 * border_error(periodic)


def test_another_size_has_a_scaled_kernel(scene):
  blur = make_blur((76, 86), gaussian(3.0, 12))
  half = blur.at_size((50, 55))
  assert half.input_size == (50, 55)
  middle = half.kernel.shape[0] // 2
  inside = slice(middle - 4, middle + 5)
  np.testing.assert_allclose(
    half.kernel[inside, inside], gaussian(1.5, 6)[2:11, 2:11], atol=1e-3
  )


def test_wrong_kernels_are_refused():
  with pytest.raises(ValueError, match=r'`kernel`.*odd sides'):
    make_blur((9, 9), np.ones((2, 2)) / 4)
  with pytest.raises(ValueError, match=r'`kernel`.*larger.*9 x 4.*\(5, 5\)'):
    make_blur((9, 4), np.ones((5, 5)) / 25)
  with pytest.raises(ValueError, match=r'`size`.*0'):
    make_blur((0, 4), np.ones((1, 1)))
  with pytest.warns(UserWarning, match='`kernel` has the sum 25'):
    make_blur((9, 9), np.ones((5, 5)))
