import numpy as np
import pytest

from internal_diffusion.applications.editing.continued_edges import (
  continue_edges,
)

SIZE = (72, 80)
ROW, COLUMN = np.indices(SIZE)
HOLE = np.zeros(SIZE, bool)
HOLE[24:44, 30:50] = True
GRAIN = np.random.default_rng(0).normal(0, 0.03, (*SIZE, 3))
# Distances to an edge, in pixels: a disc, a line and an ellipse.
SHAPES = {
  'disc': 30 - np.hypot(ROW - 62, COLUMN - 42),
  'line': (0.3 * ROW + COLUMN - 50) / np.hypot(1, 0.3),
  'ellipse': 28 * (1 - np.hypot((ROW - 58) / 25, (COLUMN - 38) / 34)),
}


def picture(distance):
  """Two colours on both sides of an edge that is two pixels wide, and grain."""
  weight = np.clip(distance / 2 + 0.5, 0, 1)[..., None]
  colours = np.array([0.7, 0.2, -0.1]), np.array([-0.6, -0.5, 0.3])
  return (weight * colours[0] + (1 - weight) * colours[1]).astype(np.float32)


@pytest.mark.parametrize('name', SHAPES)
def test_an_edge_of_known_shape_goes_on(name):
  truth = picture(SHAPES[name])
  image = np.where(HOLE[..., None], 5.0, truth + GRAIN).astype(np.float32)
  made, done, _ = continue_edges(image, HOLE)
  assert not (done & ~HOLE).any()
  np.testing.assert_array_equal(made[~done], image[~done])
  near = HOLE & (np.abs(SHAPES[name]) < 2)
  assert done[near].all()
  # At an edge of 1.3 over two pixels, 0.2 is a third of a pixel.
  assert np.sqrt(np.mean((made - truth)[near] ** 2)) < 0.2
  # It is as grainy as the picture.
  flat = done & (np.abs(SHAPES[name]) > 3)
  assert 0.4 * 0.03 < (made - truth)[flat].std() < 2 * 0.03


def test_texture_and_edges_of_other_colours_are_left_alone():
  noise = np.random.default_rng(0).uniform(-1, 1, (*SIZE, 1))
  assert not continue_edges(noise.astype(np.float32), HOLE)[1].any()
  # An edge that is bright on its left above and on its right below.
  steps = np.where(COLUMN < 40, -0.9, 0.9) * (1 - ROW / 34)
  image = steps[..., None].astype(np.float32)
  assert not continue_edges(image, HOLE)[1].any()
