"""Before, after and uncertainty of a restored picture."""

import numpy as np
import pytest

from internal_diffusion import figures
from internal_diffusion.data import image_io
from internal_diffusion.figures import restoration


@pytest.mark.parametrize('size', [(120, 160), (16, 200), (200, 16)])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('has_sample', [True, False])
def test_a_picture_of_any_shape_gives_a_figure(
  tmp_path, size, channels, has_sample
):
  image = np.random.default_rng(0).uniform(-1, 1, (*size, channels))
  drawn = figures.restoration_figure(
    2 * image, image, abs(image), sample=image if has_sample else None
  )
  titles = [axes.get_title() for axes in drawn.axes]
  assert ('a sample' in titles) == has_sample
  figures.write_figure(tmp_path / 'a.png', drawn)
  assert max(image_io.read_image(tmp_path / 'a.png').shape) < 4000


def test_the_detail_is_where_the_structure_is():
  image = np.zeros((120, 160, 1))
  image[80:100, 20:40] = np.random.default_rng(0).uniform(-1, 1, (20, 20, 1))
  rows, columns = restoration.detail_of(image)
  assert rows.start <= 80 < 100 <= rows.stop
  assert columns.start <= 20 < 40 <= columns.stop
  assert (rows.stop - rows.start, columns.stop - columns.start) == (30, 40)


def test_the_uncertainty_is_in_grey_levels():
  image = np.zeros((40, 50, 1))
  drawn = figures.restoration_figure(image, image, np.full_like(image, 0.1))
  shown = drawn.axes[2].images[0]
  np.testing.assert_allclose(shown.get_array(), 12.75)
