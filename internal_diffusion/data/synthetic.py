"""Synthetic images with exactly known patch statistics.

All are grey, float32 [H, W, 1] in [-1, 1].
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays

Array = jax.Array
# `pattern(row, column)`: sign at integer pixel coordinates.
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def checkerboard(*, num_blocks: int = 8, block_size: int = 10) -> np.ndarray:
  """Black and white squares; the top left one is black.

  Args:
    num_blocks: Squares along a side.
    block_size: Side of a square in pixels.

  Returns:
    The image, [N, N, 1] with N = num_blocks * block_size.

  Example:
    >>> checkerboard(num_blocks=2, block_size=1)[..., 0].tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
  """
  arrays.check_positive_int('num_blocks', num_blocks)
  arrays.check_positive_int('block_size', block_size)
  row, column = np.indices(2 * (num_blocks * block_size,)) // block_size
  return np.where((row + column) % 2, 1, -1).astype(np.float32)[..., None]


def vertical_stripes(row: np.ndarray, column: np.ndarray) -> np.ndarray:
  """Columns + - + -."""
  del row
  return 1 - 2 * (column % 2)


def horizontal_stripes(row: np.ndarray, column: np.ndarray) -> np.ndarray:
  """Rows + - + -."""
  return vertical_stripes(column, row)


def fine_checks(row: np.ndarray, column: np.ndarray) -> np.ndarray:
  """Pixels + - in both directions."""
  return 1 - 2 * ((row + column) % 2)


def paired_columns(row: np.ndarray, column: np.ndarray) -> np.ndarray:
  """Columns + - - +, of period 4."""
  del row
  return np.where((column + 1) // 2 % 2, -1, 1)


def paired_rows(row: np.ndarray, column: np.ndarray) -> np.ndarray:
  """Rows + - - +, of period 4."""
  return paired_columns(column, row)


def bands(
  heights: Sequence[int],
  patterns: Sequence[Pattern],
  *,
  width: int,
  contrast: float = 0.8,
) -> np.ndarray:
  """Horizontal bands, one pattern each.

  In every pattern of this module each block of 2x2 pixels has mean 0, so with
  even heights and width the block means are a uniform grey image.

  Args:
    heights: Heights of the bands in pixels.
    patterns: Pattern of each band.
    width: Width of the image in pixels.
    contrast: Amplitude of the patterns, in (0, 1].

  Returns:
    The image, [sum of heights, width, 1].
  """
  arrays.check_in_range('contrast', contrast, 0, 1, open_low=True)
  rows = [
    pattern(*np.indices((height, width)))
    for height, pattern in zip(heights, patterns, strict=True)
  ]
  return contrast * np.concatenate(rows).astype(np.float32)[..., None]


def block_means(image: np.ndarray) -> np.ndarray:
  """Means of blocks of 2x2 pixels, [H, W, C] to [H/2, W/2, C]."""
  height, width, channels = image.shape
  blocks = image.reshape(height // 2, 2, width // 2, 2, channels)
  return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)


def beside_grey(texture: np.ndarray, *, num_repeats: int) -> np.ndarray:
  """Alternating strips of grey and of a texture, of equal width."""
  return np.tile(
    np.concatenate([np.zeros_like(texture), texture], axis=1),
    (1, num_repeats, 1),
  )


def smooth_texture(
  seed: int, size: tuple[int, int], *, scale: float = 1.5
) -> np.ndarray:
  """White noise [H, W], blurred by a Gaussian and clipped to [-1, 1].

  Args:
    seed: Seed of the noise.
    size: Size (H, W).
    scale: Standard deviation of the blur, in pixels.
  """
  noise = np.random.default_rng(seed).standard_normal(size)
  smooth = scipy.ndimage.gaussian_filter(noise, scale, mode='wrap')
  return np.clip(smooth / (2.5 * smooth.std()), -1, 1)


def triangle_frames(
  seed: int,
  *,
  side: int = 72,
  displacement: tuple[float, float] = (0.7, -1.6),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Two frames of a textured triangle moving over a uniform background.

  Args:
    seed: Seed of the texture.
    side: Side of the frames in pixels.
    displacement: Displacement (dy, dx) of the triangle in pixels.

  Returns:
    First frame and second frame, [side, side, 1] each, and the opacity of the
    triangle in the first, [side, side] in [0, 1].
  """
  # Both frames are drawn on a finer grid and averaged, so that they have the
  # same antialiasing.
  fine = 4
  row, column = (np.indices(2 * (side * fine,)) + 0.5) / (side * fine)
  # Apex at the top centre, base near the bottom.
  inside = (row > 0.12) & (row < 0.88)
  inside &= abs(column - 0.5) < 0.56 * (row - 0.12)
  alpha = scipy.ndimage.gaussian_filter(inside.astype(float), 0.7 * fine)
  texture = 0.9 * smooth_texture(seed, row.shape, scale=1.8 * fine)

  def average(values: np.ndarray) -> np.ndarray:
    return values.reshape(side, fine, side, fine).mean(axis=(1, 3))

  def frame(shift: tuple[float, float]) -> np.ndarray:
    moved = [
      scipy.ndimage.shift(v, np.multiply(shift, fine), order=3, mode='nearest')
      for v in (alpha, texture)
    ]
    image = average(np.clip(moved[0], 0, 1) * moved[1])
    return np.clip(image, -1, 1).astype(np.float32)[..., None]

  return frame((0.0, 0.0)), frame(displacement), average(alpha)
