"""Figures of densities."""

import numpy as np
import pytest

from internal_diffusion import figures


def density(mean):
  axis = np.linspace(-2, 2, 21)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1)
  log_density = -np.sum((grid - mean) ** 2, axis=-1)
  return figures.Density(grid, log_density, np.array([[mean, 0.0]]))


def test_every_density_is_dark_at_its_mode_and_v_points_down():
  means = np.array([-1.0, -0.4, 0.2, 0.8, 1.6])
  drawn = figures.densities({f'{m:g}': density(m) for m in means}, title='All')
  titles = [axes.get_title() for axes in drawn.axes]
  assert titles == ['-1', '-0.4', '0.2', '0.8', '1.6']
  for axes, mean in zip(drawn.axes, means, strict=True):
    shown = np.asarray(axes.collections[0].get_array())
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert shown[row, column] == 1
    grid = density(mean).grid
    np.testing.assert_allclose(grid[row, column], mean, atol=1e-9)
    assert axes.get_lines()[0].get_xydata().tolist() == [[mean, 0]]
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2, 2), (2, -2))


def test_none_is_refused():
  with pytest.raises(ValueError, match='at least one density'):
    figures.densities({}, title='None')
