"""Figures of flow: colours by what they mean, figures by their parts."""

import matplotlib.image
import numpy as np
import pytest

from internal_diffusion import figures

RED, GREEN, BLUE = np.eye(3) * 2 - 1


def colour(u, v, *, max_length=1.0):
  flow = np.array([[[u, v]]], np.float32)
  return figures.flow_colours(flow, max_length=max_length)[0, 0]


def random_flow(*size):
  return np.random.default_rng(0).normal(size=(*size, 2))


# Colours.


def test_direction_is_hue_and_length_is_saturation():
  np.testing.assert_allclose(colour(0, 0), np.ones(3))
  np.testing.assert_allclose(colour(1, 0), RED, atol=1e-6)
  third = 2 * np.pi / 3
  np.testing.assert_allclose(
    colour(np.cos(third), np.sin(third)), GREEN, atol=1e-5
  )
  np.testing.assert_allclose(
    colour(np.cos(third), -np.sin(third)), BLUE, atol=1e-5
  )
  np.testing.assert_allclose(colour(0.5, 0), (RED + 1) / 2, atol=1e-6)


def test_only_the_ratio_to_the_maximum_counts():
  flow = random_flow(5, 6)
  np.testing.assert_allclose(
    figures.flow_colours(7 * flow, max_length=14),
    figures.flow_colours(flow, max_length=2),
    atol=1e-6,
  )


def test_longer_vectors_are_darker():
  assert colour(1.01, 0).max() < colour(0.99, 0).max() == 1


def test_unknown_vectors_are_grey():
  flow = random_flow(3, 4)
  flow[0, 1] = np.nan
  valid = np.ones((3, 4), bool)
  valid[2, 2] = False
  picture = figures.flow_colours(flow, max_length=1, valid=valid)
  is_grey = np.all(picture == 0, axis=-1)
  np.testing.assert_array_equal(np.argwhere(is_grey), [[0, 1], [2, 2]])


def test_wrong_maximum_is_refused():
  for max_length in (0, -1, np.nan):
    with pytest.raises(ValueError, match='`max_length`'):
      figures.flow_colours(random_flow(3, 3), max_length=max_length)


# Figures.


def test_flows_share_a_stated_scale():
  flow = random_flow(20, 30)
  axes = figures.flow_figure(
    {'estimate': 0 * flow, 'truth': flow},
    title='Flow',
    image=np.zeros((20, 30, 3)),
  ).axes
  titles = [one.get_title() for one in axes]
  longest = np.quantile(np.linalg.norm(flow, axis=-1), 0.995)
  assert titles == [
    'first frame',
    'estimate',
    'truth',
    f'radius {longest:.3g} px',
  ]
  shown = [2 * np.asarray(one.images[0].get_array()) - 1 for one in axes]
  np.testing.assert_allclose(shown[1], 1)
  np.testing.assert_allclose(
    shown[2], figures.flow_colours(flow, max_length=longest), atol=1e-6
  )


def test_wheel_has_the_colours_of_its_vectors():
  flow = np.zeros((4, 5, 2))
  axes = figures.flow_figure({'flow': flow}, title='').axes[1]
  assert axes.get_title() == 'radius 1 px'
  wheel = 2 * np.asarray(axes.images[0].get_array()) - 1
  np.testing.assert_allclose(wheel[200, 400], RED, atol=1e-6)
  np.testing.assert_allclose(wheel[200, 200], 1)
  np.testing.assert_allclose(wheel[400, 200], colour(0, 1), atol=1e-6)
  np.testing.assert_allclose(wheel[0, 0], 1)


def test_no_flow_is_refused():
  with pytest.raises(ValueError, match='`flows`'):
    figures.flow_figure({}, title='')


@pytest.mark.parametrize('angle', [0.0, 0.5, 2.0])
def test_ellipse_covers_two_standard_deviations(tmp_path, angle):
  """The drawn pixels have the area 4 pi sqrt(det) and the covariance."""
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  covariance = turn @ np.diag([9.0, 2.0]) @ turn.T
  drawn = figures.ellipses(
    np.full((60, 60, 3), 1.0),
    np.array([[20, 30]]),
    covariance[None] / 4,
    title='',
    magnification=2,
  )
  axes = drawn.axes[0]
  axes.collections[0].set(linewidths=0, facecolors='red')
  (point,) = axes.get_lines()
  assert point.get_xydata().tolist() == [[20, 30]]
  point.set_visible(False)
  figures.write_figure(tmp_path / 'a.png', drawn)
  pixels = matplotlib.image.imread(tmp_path / 'a.png')
  is_red = (pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.5)
  to_data = axes.transData.inverted()
  rows, columns = np.nonzero(is_red)
  place = np.stack([columns + 0.5, len(pixels) - rows - 0.5], axis=1)
  points = to_data.transform(place * drawn.dpi / 120)
  pixel_area = (
    abs(
      np.linalg.det(
        to_data.transform([[1, 0], [0, 1]]) - to_data.transform([0, 0])
      )
    )
    * (drawn.dpi / 120) ** 2
  )
  area = len(points) * pixel_area
  assert area == pytest.approx(4 * np.pi * np.sqrt(18), rel=0.02)
  np.testing.assert_allclose(points.mean(axis=0), [20, 30], atol=0.05)
  # A filled ellipse of two standard deviations has the covariance itself.
  np.testing.assert_allclose(np.cov(points.T), covariance, atol=0.1)


def test_ellipses_need_a_covariance_for_each_point():
  with pytest.raises(ValueError, match=r'`covariances` must be \[3, 2, 2\]'):
    figures.ellipses(np.zeros((9, 9, 1)), np.ones((3, 2)), np.eye(2), title='')


def test_warp_check_states_the_errors_before_and_after():
  first = np.zeros((8, 9, 3))
  inside = np.ones((8, 9), bool)
  inside[0] = False
  warped = first + 2 / 127.5
  warped[0] = 1
  axes = figures.warp_check(
    first, first + 20 / 127.5, warped, inside=inside, title=''
  ).axes
  assert axes[2].get_title().endswith('RMS 20.0')
  assert axes[3].get_title().endswith('RMS 2.0')
  before, after = (one.images[0] for one in axes[2:4])
  assert before.get_clim() == after.get_clim() == pytest.approx((0, 20))
  np.testing.assert_array_equal(after.get_array().mask, ~inside)
