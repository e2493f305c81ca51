"""Figures of images and maps, by their pixels and colour bars."""

import numpy as np
import pytest

from internal_diffusion import figures
from internal_diffusion.data import image_io

RAMP = np.linspace(0, 0.1, 30 * 40).reshape(30, 40)


def heat_maps(maps, **options):
  return figures.heat_maps(maps, title='Maps', label='px', **options)


def test_heat_maps_have_one_scale():
  one = np.ones((30, 40))
  drawn = heat_maps({'one': one, 'five': 5 * one})
  for axes, values in zip(drawn.axes, (one, 5 * one), strict=False):
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    assert axes.images[0].get_clim() == (0, 5)
  assert [axes.get_title() for axes in drawn.axes[:2]] == ['one', 'five']
  assert drawn.axes[2].get_ylabel() == 'px'


def test_unknown_values_are_grey():
  values = RAMP.copy()
  values[1, 1] = np.nan
  shown = heat_maps({'a': values}, high=1.5).axes[0]
  assert shown.images[0].get_clim() == (0, 1.5)
  np.testing.assert_array_equal(
    shown.images[0].get_array().mask, np.isnan(values)
  )
  assert shown.get_facecolor() == (0.5, 0.5, 0.5, 1)
  heat_maps({'all unknown': values * np.nan})


@pytest.mark.parametrize('size', [(30, 40), (4, 400), (400, 4)])
def test_an_image_of_any_shape_gives_a_picture_of_a_fair_size(tmp_path, size):
  path = tmp_path / 'maps.png'
  drawn = heat_maps({'zero': np.zeros(size)}, image=np.zeros((*size, 1)))
  figures.write_figure(path, drawn)
  assert max(image_io.read_image(path).shape) < 1200
  assert min(image_io.read_image(path).shape[:2]) > 200


@pytest.mark.parametrize(
  ('maps', 'message'),
  [
    ({}, 'at least one map'),
    ({'a': RAMP[..., None]}, r'`a` has shape \(30, 40, 1\)'),
    ({'a': -RAMP}, 'the minimum -0.1'),
  ],
)
def test_wrong_maps_are_refused(maps, message):
  with pytest.raises(ValueError, match=message):
    heat_maps(maps)


def test_coarse_levels_are_enlarged_to_the_finest():
  coarse = np.arange(6.0).reshape(2, 3, 1)
  fine = np.zeros((4, 6, 1))
  frames = figures.level_frames([coarse, fine])
  np.testing.assert_array_equal(
    frames[0], coarse.repeat(2, axis=0).repeat(2, axis=1)
  )
  np.testing.assert_array_equal(frames[1], fine)


def test_source_map_has_red_to_the_right_and_green_down():
  source = np.array([[[0, 0], [4, 0], [0, 6], [4, 6]]])
  drawn = figures.source_map(source, (5, 7))
  assert drawn.shape == (5, 7 + 4 + 4, 3)
  np.testing.assert_array_equal(
    drawn[0, -4:], [[-1, -1, 1], [-1, 1, 0], [1, -1, 0], [1, 1, -1]]
  )
  np.testing.assert_array_equal(drawn[4, 6], drawn[0, -1])
  assert (drawn[1:, -8:] == 1).all()


def test_back_and_forth_repeats_no_end():
  np.testing.assert_array_equal(
    figures.back_and_forth(np.arange(4)), [0, 1, 2, 3, 2, 1]
  )
