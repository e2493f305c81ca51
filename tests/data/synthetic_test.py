import numpy as np
import pytest

from internal_diffusion.data import synthetic

PATTERNS = (
  synthetic.vertical_stripes,
  synthetic.horizontal_stripes,
  synthetic.fine_checks,
  synthetic.paired_columns,
  synthetic.paired_rows,
)


def test_checkerboard_is_black_at_the_top_left_and_takes_turns():
  board = synthetic.checkerboard(num_blocks=3, block_size=4)
  assert board.shape == (12, 12, 1)
  np.testing.assert_array_equal(np.unique(board), [-1, 1])
  assert (board[:4, :4] == -1).all()
  np.testing.assert_array_equal(board[4:], -board[:-4])


@pytest.mark.parametrize('pattern', PATTERNS)
def test_patterns_are_grey_at_half_size(pattern):
  image = synthetic.bands((8, 4), (pattern, pattern), width=12)
  assert abs(image).min() == pytest.approx(0.8)
  np.testing.assert_allclose(synthetic.block_means(image), 0, atol=1e-7)


def test_strips_of_grey_and_texture_take_turns():
  texture = synthetic.bands((6,), (synthetic.fine_checks,), width=5)
  image = synthetic.beside_grey(texture, num_repeats=2)
  assert image.shape == (6, 20, 1)
  assert (image[:, :5] == 0).all()
  np.testing.assert_array_equal(image[:, 15:], texture)


def test_the_triangle_moves_by_what_is_said():
  # By whole pixels, where the second frame is the first one shifted.
  first, second, inside = synthetic.triangle_frames(0, displacement=(2.0, -3.0))
  assert first.shape == (72, 72, 1)
  moved = np.roll(first, (2, -3), axis=(0, 1))
  np.testing.assert_allclose(second, moved, atol=0.02)
  assert abs(first[inside < 0.01]).max() < 0.02  # Plain background.
  assert first[inside > 0.99].std() > 0.2
  assert 0.2 < inside.mean() < 0.6


@pytest.mark.parametrize('options', [{'num_blocks': 0}, {'block_size': 2.5}])
def test_bad_checkerboards(options):
  with pytest.raises(ValueError, match='positive integer'):
    synthetic.checkerboard(**options)
