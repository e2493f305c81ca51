"""The error of reading a picture between its pixels."""

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video import interpolate, subpixel
from internal_diffusion.data import make_clip

NOISE = np.random.default_rng(0).normal(size=(64, 72, 1))
FINE = 0.4 * NOISE.astype(np.float32)


def test_weights_of_whole_and_half_pixels():
  found = subpixel.fraction_weights(
    np.array([[[0, 3], [0.5, -1.5], [0.25, 0]]])
  )
  expected = np.array([[[0, 0], [1, 1], [0.5, 0]]])
  np.testing.assert_allclose(found, expected, atol=1e-12)


def test_smooth_pictures_have_no_error_and_fine_ones_along_their_waves():
  smooth = ndimage.gaussian_filter(FINE, (6, 6, 0))
  assert subpixel.half_pixel_variance(smooth).max() < 1e-6
  along_x = ndimage.gaussian_filter(FINE, (6, 0, 0))
  variance = subpixel.half_pixel_variance(along_x)
  assert variance.shape == (64, 72, 2)
  assert variance[..., 0].mean() > 100 * variance[..., 1].mean()


def test_intervals_of_a_clip_that_moves_by_whole_pixels():
  # The frames at hand are exact shifts; those between are not.
  # Waves of amplitude 1 / frequency, as photographs have: alike at all sizes.
  noise = np.random.default_rng(1).normal(size=(128, 128))
  grid = np.stack(np.meshgrid(*2 * [np.fft.fftfreq(128)]))
  waves = np.fft.fft2(noise) / np.hypot(*grid).clip(0.02)
  picture = np.fft.ifft2(waves).real
  large = (0.3 * picture / picture.std()).clip(-1, 1)
  steps = [large[:80, 3 * t : 3 * t + 104] for t in range(7)]
  truth = np.stack([s.reshape(40, 2, 52, 2, 1).mean((1, 3)) for s in steps])
  clip = make_clip(truth[::2].astype(np.float32))
  found = interpolate(jax.random.key(0), clip, factor=2, num_samples=0)
  error = np.abs(found.mean[1::2] - truth[1::2])
  covered = np.mean(error <= 1.645 * found.std[1::2][..., None])
  assert 0.75 < covered < 0.99, covered
