import numpy as np
import pytest

from internal_diffusion import figures
from internal_diffusion.data import image_io

RAMP = np.linspace(0, 0.1, 30 * 40).reshape(30, 40)


def test_heat_maps_have_one_scale_in_grey_levels(monkeypatch):
  written = []
  monkeypatch.setattr(
    figures, 'write_figure', lambda path, figure: written.append(figure)
  )
  one_level = np.full((30, 40), 2 / 255)
  maps = {'one': one_level, 'five': 5 * one_level}
  figures.write_heat_maps('unused', maps, title='Maps')
  shown = [axes.images[0] for axes in written[0].axes[:2]]
  for image, level in zip(shown, (1, 5), strict=True):
    np.testing.assert_allclose(image.get_array(), level)
    assert image.get_clim() == pytest.approx((0, 5))


def test_heat_maps_beside_their_image_are_a_picture(tmp_path):
  path = tmp_path / 'maps.png'
  for maps in ({'spread': RAMP}, {'nothing': 0 * RAMP}):
    figures.write_heat_maps(
      path, maps, title='Maps', image=np.zeros((30, 40, 1))
    )
    picture = image_io.read_image(path)
    assert picture.shape[1] > picture.shape[0]


def test_wrong_maps_are_refused(tmp_path):
  path = tmp_path / 'maps.png'
  for maps, message in (
    ({}, 'at least one map'),
    ({'a': RAMP[..., None]}, r'`a` has shape \(30, 40, 1\)'),
    ({'a': -RAMP}, 'the minimum -0.1'),
    ({'a': RAMP * np.nan}, 'the minimum nan'),
  ):
    with pytest.raises(ValueError, match=message):
      figures.write_heat_maps(path, maps, title='Maps')
  assert not path.exists()
