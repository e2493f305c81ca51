import numpy as np

from internal_diffusion.applications.editing.edge_sides import (
  are_together,
  decided,
  side_codes,
)

SIZE = (20, 24)
# Down the column 8, and to the right along the row 15.
LINES = [
  np.stack([np.arange(20.0), np.full(20, 8.0)], axis=-1),
  np.stack([np.full(24, 15.0), np.arange(24.0)], axis=-1),
]


def test_an_edge_separates_what_is_on_its_sides():
  codes = side_codes(LINES, SIZE)
  left, right, below = codes[5, 3], codes[5, 15], codes[18, 15]
  assert are_together(left, codes[10, 4])
  for first, second in ((left, right), (right, below), (left, below)):
    assert not are_together(first, second)
    assert not are_together(second, first)
  # On an edge there are both sides, and without edges none.
  assert not are_together(codes[5, 8], left)
  assert not are_together(codes[5, 8], right)
  assert are_together(side_codes([], SIZE), np.int32(0)).all()


def test_a_pixel_of_a_hole_is_on_one_side():
  codes = side_codes(LINES[:1], SIZE)
  hole = np.zeros(SIZE, bool)
  hole[4:12, 4:8] = True
  found = decided(codes, hole)
  assert (found[hole] == codes[5, 3]).all()
  np.testing.assert_array_equal(found[~hole], codes[~hole])
  # Where all of it is on an edge, it is on none.
  assert not decided(codes, codes == codes[5, 8])[5, 8]
