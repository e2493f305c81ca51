"""Figures of flow: colours by what they mean, files by what is in them."""

import matplotlib.patches
import numpy as np
import pytest
from PIL import Image

from internal_diffusion import figures, flow_figures
from internal_diffusion.data import image_io

RED, GREEN, BLUE = np.eye(3) * 2 - 1


def colour(u, v, *, max_length=1.0):
  flow = np.array([[[u, v]]], np.float32)
  return flow_figures.flow_colours(flow, max_length=max_length)[0, 0]


def random_flow(*size):
  return np.random.default_rng(0).normal(size=(*size, 2))


@pytest.fixture
def figure(monkeypatch):
  """The figure that would have been written last, in a list."""
  written = []
  monkeypatch.setattr(
    figures, 'write_figure', lambda path, figure: written.append(figure)
  )
  return written


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
    flow_figures.flow_colours(7 * flow, max_length=14),
    flow_figures.flow_colours(flow, max_length=2),
    atol=1e-6,
  )


def test_longer_vectors_are_darker():
  assert colour(1.01, 0).max() < colour(0.99, 0).max() == 1


def test_unknown_vectors_are_grey():
  flow = random_flow(3, 4)
  flow[0, 1] = np.nan
  valid = np.ones((3, 4), bool)
  valid[2, 2] = False
  picture = flow_figures.flow_colours(flow, max_length=1, valid=valid)
  is_grey = np.all(picture == 0, axis=-1)
  np.testing.assert_array_equal(np.argwhere(is_grey), [[0, 1], [2, 2]])


def test_wrong_maximum_is_refused():
  for max_length in (0, -1, np.nan):
    with pytest.raises(ValueError, match='`max_length`'):
      flow_figures.flow_colours(random_flow(3, 3), max_length=max_length)


# Figures.


def test_flows_share_a_scale_that_is_stated(figure):
  flow = random_flow(20, 30)
  flow_figures.write_flows(
    'a.png',
    {'estimate': 0 * flow, 'truth': flow},
    title='Flow',
    image=np.zeros((20, 30, 3)),
  )
  titles = [axes.get_title() for axes in figure[0].axes]
  assert titles[:3] == ['first frame', 'estimate', 'truth']
  longest = np.quantile(np.linalg.norm(flow, axis=-1), 0.99)
  assert titles[3] == f'radius {longest:.3g} px'
  assert [np.shape(axes.images[0].get_array())[:2] for axes in figure[0].axes][
    :3
  ] == [(20, 30)] * 3


def test_flow_that_stands_still_has_a_figure(figure):
  flow_figures.write_flows('a.png', {'flow': np.zeros((4, 5, 2))}, title='')
  assert figure[0].axes[1].get_title() == 'radius 1 px'
  with pytest.raises(ValueError, match='`flows`'):
    flow_figures.write_flows('a.png', {}, title='')


def test_map_has_a_scale_from_0_and_grey_where_unknown(figure):
  values = np.linspace(0, 2, 12).reshape(3, 4)
  values[1, 1] = np.nan
  flow_figures.write_map('a.png', values, title='', label='px', high=1.5)
  picture = figure[0].axes[0].images[0]
  assert picture.get_clim() == (0, 1.5)
  np.testing.assert_array_equal(picture.get_array().mask, np.isnan(values))
  assert figure[0].axes[1].get_ylabel() == 'px'


def test_ellipses_are_two_standard_deviations_of_their_covariances(figure):
  rng = np.random.default_rng(0)
  roots = rng.normal(size=(6, 2, 2))
  covariances = roots @ roots.swapaxes(1, 2)
  points, flow = rng.uniform(5, 15, (6, 2)), rng.normal(size=(6, 2))
  flow_figures.write_ellipses(
    'a.png',
    np.zeros((20, 20, 1)),
    points,
    covariances,
    title='',
    flow=flow,
    magnification=3,
  )
  ellipses = [
    patch
    for patch in figure[0].axes[0].patches
    if isinstance(patch, matplotlib.patches.Ellipse)
  ]
  for ellipse, point, vector, covariance in zip(
    ellipses, points, flow, covariances, strict=True
  ):
    np.testing.assert_allclose(ellipse.center, point + 3 * vector)
    # Points of the ellipse are 2 from its middle, in units of the covariance.
    outline = ellipse.get_patch_transform().transform(
      [[np.cos(a), np.sin(a)] for a in np.linspace(0, 6, 9)]
    )
    offset = (outline - ellipse.center) / 3
    squares = np.sum(offset * np.linalg.solve(covariance, offset.T).T, axis=1)
    np.testing.assert_allclose(squares, 4, rtol=1e-6)


def test_ellipses_need_a_covariance_for_each_point():
  with pytest.raises(ValueError, match=r'`covariances` must be \[3, 2, 2\]'):
    flow_figures.write_ellipses(
      'a.png', np.zeros((9, 9, 1)), np.ones((3, 2)), np.eye(2), title=''
    )


def test_warp_check_states_the_errors_before_and_after(figure):
  first = np.zeros((8, 9, 3))
  inside = np.ones((8, 9), bool)
  inside[0] = False
  warped = first + 2 / 127.5
  warped[0] = 1
  flow_figures.write_warp_check(
    'a.png', first, first + 20 / 127.5, warped, inside=inside, title=''
  )
  titles = [axes.get_title() for axes in figure[0].axes]
  assert titles[2].endswith('RMS 20.0')
  assert titles[3].endswith('RMS 2.0')
  before, after = (axes.images[0].get_clim() for axes in figure[0].axes[2:4])
  assert before == after


def test_figures_are_written_as_pictures(tmp_path):
  flow = random_flow(20, 30)
  image = np.zeros((20, 30, 3), np.float32)
  write = {
    'flow': lambda path: flow_figures.write_flows(
      path, {'flow': flow}, title='Flow', image=image
    ),
    'map': lambda path: flow_figures.write_map(
      path, flow[..., 0] ** 2, title='Variance', label='px', image=image
    ),
    'ellipses': lambda path: flow_figures.write_ellipses(
      path, image, np.ones((1, 2)), np.eye(2)[None], title='Ellipses'
    ),
    'warp': lambda path: flow_figures.write_warp_check(
      path, image, image, image, title='Warp'
    ),
  }
  for name, write_one in write.items():
    path = tmp_path / f'{name}.png'
    write_one(path)
    picture = image_io.read_image(path)
    assert min(picture.shape[:2]) > 100
    assert picture.std() > 0.05


def test_motion_goes_there_and_back(tmp_path):
  levels = np.linspace(-1, 1, 4)
  frames = np.tile(levels[:, None, None, None], (1, 6, 7, 3))
  path = tmp_path / 'a.gif'
  flow_figures.write_motion(path, frames)
  shown = []
  with Image.open(path) as picture:
    for index in range(picture.n_frames):
      picture.seek(index)
      shown.append(np.asarray(picture.convert('L'))[0, 0] / 127.5 - 1)
  np.testing.assert_allclose(shown, levels[[0, 1, 2, 3, 2, 1]], atol=0.02)
