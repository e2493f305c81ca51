import numpy as np
import pytest
from scipy import fft, ndimage

from internal_diffusion.applications.restoration import periodic


def noise(shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape)


def test_transfer_is_a_convolution_that_wraps():
  image, kernel = noise((20, 24)), noise((3, 5), 1)
  product = periodic.transfer(kernel, image.shape) * fft.rfft2(image)
  np.testing.assert_allclose(
    fft.irfft2(product, image.shape),
    ndimage.convolve(image, kernel, mode='wrap'),
    atol=1e-5,
  )


def test_gradient_adjoint():
  x, a, b = noise((8, 9)), noise((8, 9), 1), noise((8, 9), 2)
  across, down = periodic.gradient(x)
  assert np.sum(across * a + down * b) == pytest.approx(
    np.sum(x * periodic.gradient_adjoint(a, b))
  )


def test_wrapped_picture_keeps_the_picture_and_has_no_jump():
  ramp = np.add.outer(np.arange(40.0), np.arange(50.0))
  wrapped = periodic.wrap(ramp, 20)
  assert wrapped.shape[0] >= 60
  assert wrapped.shape[1] >= 70
  np.testing.assert_array_equal(wrapped[:40, :50], ramp)
  steps = periodic.gradient(wrapped)
  assert max(np.abs(step).max() for step in steps) < 8


def test_deconvolve_undoes_a_blur():
  image = np.zeros((64, 64))
  image[16:40, 20:50] = 1
  kernel = np.ones((5, 5)) / 25
  blurred = ndimage.convolve(image, kernel, mode='nearest')
  found = periodic.deconvolve(blurred, kernel)
  assert np.mean((found - image) ** 2) < 0.05 * np.mean((blurred - image) ** 2)
