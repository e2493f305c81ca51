"""Fidelity against what the two figures are by definition."""

import math

import numpy as np
import pytest
from skimage import metrics

from internal_diffusion.evaluation import fidelity


@pytest.fixture
def image():
  rng = np.random.default_rng(0)
  return rng.uniform(-0.8, 0.8, size=(16, 20, 3)).astype(np.float32)


def test_an_image_is_its_own_best_match(image):
  assert fidelity.psnr(image, image) == math.inf
  assert fidelity.ssim(image, image) == pytest.approx(1.0)


@pytest.mark.parametrize('error', [0.2, 0.02])
def test_psnr_of_a_constant_error(image, error):
  # Peak 2, mean squared error `error`^2.
  expected = 20 * math.log10(2 / error)
  assert fidelity.psnr(image + error, image) == pytest.approx(expected, 1e-4)


def test_ssim_of_two_flat_images_is_the_luminance_term():
  # Wang et al. 2004, eq. 6, of intensities 0.5 and 0.75 of full scale 1.
  first, second = 0.5, 0.75
  stabiliser = 0.01**2
  expected = (2 * first * second + stabiliser) / (
    first**2 + second**2 + stabiliser
  )
  flat = np.ones((12, 12, 1))
  measured = fidelity.ssim(flat * (2 * first - 1), flat * (2 * second - 1))
  assert measured == pytest.approx(expected)


def test_figures_are_those_of_8_bit_images():
  rng = np.random.default_rng(0)
  reference = rng.integers(0, 256, size=(16, 16, 3), dtype=np.uint8)
  image = np.clip(reference + rng.normal(0, 9, reference.shape), 0, 255)
  image = image.astype(np.uint8)
  scaled = [pixels / 127.5 - 1 for pixels in (image, reference)]
  expected = metrics.peak_signal_noise_ratio(reference, image)
  assert fidelity.psnr(*scaled) == pytest.approx(expected, rel=1e-5)
  expected = metrics.structural_similarity(
    reference,
    image,
    channel_axis=-1,
    gaussian_weights=True,
    use_sample_covariance=False,
  )
  assert fidelity.ssim(*scaled) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('figure', [fidelity.psnr, fidelity.ssim])
def test_more_noise_is_worse(image, figure):
  noise = np.random.default_rng(1).uniform(-1, 1, image.shape)
  values = [figure(image + s * noise, image) for s in (0.01, 0.05, 0.2)]
  assert values == sorted(values, reverse=True)


@pytest.mark.parametrize('figure', [fidelity.psnr, fidelity.ssim])
def test_wrong_images_are_refused(image, figure):
  with pytest.raises(ValueError, match='one shape'):
    figure(image[1:], image)
  with pytest.raises(ValueError, match=r'`image`.*floats'):
    figure(np.zeros((16, 16, 3), np.uint8), image)
  with pytest.raises(ValueError, match=r'`reference`.*finite'):
    figure(image, np.full_like(image, np.nan))
  with pytest.raises(ValueError, match=r'\[-1, 1\]'):
    figure(image, 100 * image)


def test_ssim_needs_room_for_its_window(image):
  with pytest.raises(ValueError, match='11 pixels'):
    fidelity.ssim(image[:10], image[:10])
