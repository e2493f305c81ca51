import numpy as np
import pytest
from scipy import ndimage, signal

from internal_diffusion.applications.restoration import (
  blind_kernel,
  estimate_kernel,
)

GREY = 2 / 255


def rectangles(side=84, num=30, seed=0):
  """A picture of overlapping rectangles, [side, side] in [-1, 1]."""
  rng = np.random.default_rng(seed)
  image = np.zeros((side, side))
  for _ in range(num):
    top, left = rng.integers(-10, side - 4, 2)
    height, width = rng.integers(8, 40, 2)
    rows = slice(max(top, 0), top + height)
    image[rows, max(left, 0) : left + width] = rng.uniform(-0.9, 0.9)
  return image


def diagonal(length):
  return np.eye(length) / length


def blurred(kernel, noise=0.5):
  image = signal.convolve2d(rectangles(), kernel, mode='valid')
  rng = np.random.default_rng(1)
  return (image + noise * GREY * rng.standard_normal(image.shape))[..., None]


@pytest.fixture(scope='module')
def of_a_diagonal():
  return estimate_kernel(blurred(diagonal(7)), max_size=11)


def test_kernel_is_a_kernel(of_a_diagonal):
  kernel = of_a_diagonal.kernel
  assert kernel.shape[0] == kernel.shape[1]
  assert kernel.shape[0] % 2 == 1
  assert kernel.min() >= 0
  assert kernel.sum() == pytest.approx(1)
  offset = np.arange(len(kernel)) - len(kernel) // 2
  for axis in (0, 1):
    assert abs(kernel.sum(axis=axis) @ offset) < 0.6


def test_finds_a_diagonal_motion(of_a_diagonal):
  likeness = blind_kernel._correlation(of_a_diagonal.kernel, diagonal(7))
  assert likeness > 0.9
  other_way = blind_kernel._correlation(of_a_diagonal.kernel, diagonal(7)[::-1])
  assert other_way < likeness - 0.2
  assert not of_a_diagonal.likely_failed


def test_is_deterministic_and_ignores_contrast(of_a_diagonal):
  image = blurred(diagonal(7))
  again = estimate_kernel(0.5 * image + 0.2, max_size=11)
  np.testing.assert_allclose(again.kernel, of_a_diagonal.kernel, atol=0.02)


def test_candidates_that_differ_are_not_trusted(monkeypatch):
  kernels = [np.eye(9), np.eye(9)[::-1], np.ones((9, 9))]
  # A horizontal and a vertical line, and two points.
  kernels += [np.zeros((9, 9)) for _ in range(3)]
  kernels[3][4], kernels[4][:, 4], kernels[5][2:7:4, 1:8:6] = 1, 1, 1
  candidates = iter([kernel / kernel.sum() for kernel in kernels])
  monkeypatch.setattr(blind_kernel, '_alternate', lambda *_: next(candidates))
  found = estimate_kernel(blurred(diagonal(7)), max_size=9)
  assert found.likely_failed
  assert found.agreement < 0.9


def test_fit_recovers_the_kernel_of_a_known_picture():
  sharp = np.random.default_rng(0).standard_normal((64, 64))
  kernel = np.zeros((5, 5))
  kernel[1, 2:] = kernel[3, 1] = 0.25
  wrapped = ndimage.convolve(sharp, kernel, mode='wrap')
  found = blind_kernel._fit_kernel(sharp, wrapped, np.ones((64, 64)), 5)
  np.testing.assert_allclose(found, kernel, atol=0.02)


@pytest.mark.parametrize(
  ('image', 'max_size', 'message'),
  [
    (np.zeros((60, 60, 1)), 15, '`image` must have more than one colour'),
    (np.zeros((60, 60)), 15, r'`image` must be finite \[H, W, C\]'),
    (np.zeros((60, 60, 1)), 14, '`max_size` must be odd'),
    (np.zeros((60, 60, 1)), 31, r'`max_size` must be in \[5, 20\]'),
  ],
)
def test_refuses(image, max_size, message):
  with pytest.raises(ValueError, match=message):
    estimate_kernel(image, max_size=max_size)
