"""Figures of densities."""

import numpy as np
import pytest
from PIL import Image

from internal_diffusion import density_figures
from internal_diffusion.density_figures import Density


def density(mean):
  axis = np.linspace(-2, 2, 21)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1)
  log_density = -np.sum((grid - mean) ** 2, axis=-1)
  samples = np.random.default_rng(0).normal(mean, 0.3, (20, 2))
  return Density(grid, log_density, samples)


def test_every_density_is_drawn(tmp_path):
  shares = []
  for num in (1, 5):
    path = tmp_path / f'{num}.png'
    density_figures.write_densities(
      path, {f'pixel {i}': density(i / 5) for i in range(num)}, title='All'
    )
    with Image.open(path) as picture:
      pixels = np.asarray(picture.convert('L'))
    shares.append(np.sum(pixels < 128))
  # Five axes with dark middles, not one.
  assert shares[1] > 3 * shares[0] > 0


def test_none_is_refused(tmp_path):
  with pytest.raises(ValueError, match='densities'):
    density_figures.write_densities(tmp_path / 'x.png', {}, title='None')
