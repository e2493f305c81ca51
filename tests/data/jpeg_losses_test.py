"""What quantisation removes, against coefficients that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import jpeg_losses
from internal_diffusion.data.jpeg import JpegCells, encode_cells
from internal_diffusion.data.jpeg_plane import PlaneCells, to_blocks

SHAPE = (24, 26, 8, 8)
STEPS = 10.0 + 4 * np.add.outer(np.arange(8), np.arange(8))


def quantised(coefficients):
  levels = np.round(coefficients / STEPS).astype(np.int16)
  plane = PlaneCells(
    jax.device_put(levels), jax.device_put(STEPS.astype(np.float32)), (1, 1)
  )
  return JpegCells((plane,), (8 * SHAPE[0], 8 * SHAPE[1]), False)


@pytest.mark.parametrize(('contrast', 'power'), [(30, 1.0), (60, 2.0), (8, 0)])
def test_the_loss_of_a_power_law_is_found_from_the_levels(contrast, power):
  order = np.maximum(np.add.outer(np.arange(8), np.arange(8)), 1)
  rng = np.random.default_rng(0)
  scale = contrast * order**-power / np.sqrt(2)
  coefficients = rng.laplace(size=SHAPE) * scale
  cells = quantised(coefficients)
  centres = np.asarray(cells.planes[0].centres())
  found = jpeg_losses.lost_variances(cells)[0]
  assert found.shape == SHAPE
  true = np.mean((coefficients - centres) ** 2)
  assert abs(np.sqrt(np.mean(found) / true) - 1) < 0.1
  # A cell beside 0 has the variance of its width.
  others = centres != 0
  widths = np.broadcast_to(STEPS**2 / 12, SHAPE)
  np.testing.assert_allclose(found[others], widths[others])
  assert (found <= widths.max()).all()


def test_a_picture_of_one_colour_has_lost_hardly_anything():
  cells = quantised(np.zeros(SHAPE))
  found = jpeg_losses.lost_variances(cells)[0]
  assert np.isfinite(found).all()
  assert found[..., 1:, 1:].max() < 1


def test_variances_of_pixels_and_of_coefficients_have_one_mean():
  cells = quantised(np.zeros(SHAPE))
  variances = np.random.default_rng(0).uniform(0, 9, SHAPE)
  pixels = jpeg_losses.pixel_variance(cells, [variances])
  assert pixels.shape == (*cells.size, 1)
  np.testing.assert_allclose(127.5**2 * pixels.mean(), variances.mean(), 1e-4)


@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:0'])
def test_variances_of_colours(subsampling):
  image = np.zeros((24, 40, 3), np.float32)
  cells = encode_cells(image, quality=50, subsampling=subsampling)
  luma, *others = jpeg_losses.lost_variances(cells)
  ones = [np.ones_like(luma), *(np.zeros_like(other) for other in others)]
  pixels = jpeg_losses.pixel_variance(cells, ones)
  # Luma is in all colours; red has 1.402 of Cr, and green a part of both.
  np.testing.assert_allclose(pixels, 1 / 127.5**2, rtol=1e-4)
  red = jpeg_losses.pixel_variance(cells, [0 * ones[0], *others[:1], *ones[2:]])
  assert red.shape == image.shape
  assert (red[..., 0] < 1e-9).all()
  assert (red[..., 2] > 0).all()


def test_a_change_gets_the_energy_of_each_frequency():
  cells = quantised(np.zeros(SHAPE))
  noise = jax.random.normal(jax.random.key(0), (*cells.size, 1))
  wanted = np.random.default_rng(1).uniform(1, 9, (8, 8))
  change = jpeg_losses.with_energies(cells, noise / 100, [wanted])
  found = jnp.mean(to_blocks(127.5 * change[..., 0]) ** 2, axis=(0, 1))
  np.testing.assert_allclose(found, wanted, rtol=1e-3)
