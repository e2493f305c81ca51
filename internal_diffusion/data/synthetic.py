"""Synthetic images whose patch statistics are known exactly.

All are grey, [H, W, 1] float32 in [-1, 1].
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays

Array = jax.Array
# `pattern(row, column)`: the sign at a pixel, by whole-number coordinates.
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def checkerboard(*, num_blocks: int = 8, block_size: int = 10) -> np.ndarray:
  """Black and white squares, the top left one black."""
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
  """Patterns one below the other.

  Every pattern of this module has blocks of 2x2 pixels of mean 0, so with even
  heights and width the means of these blocks are a uniform grey image.

  Args:
    heights: Of the bands, in pixels.
    patterns: As many.
    width: Of the image, in pixels.
    contrast: Of the patterns, in (0, 1].
  """
  arrays.check_in_range('contrast', contrast, 0, 1, open_low=True)
  rows = [
    pattern(*np.indices((height, width)))
    for height, pattern in zip(heights, patterns, strict=True)
  ]
  return contrast * np.concatenate(rows).astype(np.float32)[..., None]


def block_means(image: np.ndarray) -> np.ndarray:
  """The means of blocks of 2x2 pixels, [H, W, C] to [H/2, W/2, C]."""
  height, width, channels = image.shape
  blocks = image.reshape(height // 2, 2, width // 2, 2, channels)
  return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)


def beside_grey(texture: np.ndarray, *, num_repeats: int) -> np.ndarray:
  """Strips of grey and of a texture of the same width in turn."""
  return np.tile(
    np.concatenate([np.zeros_like(texture), texture], axis=1),
    (1, num_repeats, 1),
  )


def smooth_texture(
  seed: int, size: tuple[int, int], *, scale: float = 1.5
) -> np.ndarray:
  """Smoothed white noise [H, W] in [-1, 1], without detail below a pixel.

  Args:
    seed: Of the noise.
    size: (H, W).
    scale: Standard deviation of the smoothing, in pixels.
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
  """A textured triangle that moves over a uniform background.

  Args:
    seed: Of the texture.
    side: Of the frames, in pixels.
    displacement: Of the triangle, (dy, dx) in pixels.

  Returns:
    The first frame and the second [side, side, 1], and where the triangle is in
    the first, [side, side] in [0, 1].
  """
  # Drawn on a finer grid, moved there, and brought down together, so that
  # both frames are antialiased alike.
  fine = 4
  row, column = (np.indices(2 * (side * fine,)) + 0.5) / (side * fine)
  # Apex at the top in the middle, base towards the bottom.
  inside = (row > 0.12) & (row < 0.88)
  inside &= abs(column - 0.5) < 0.56 * (row - 0.12)
  alpha = scipy.ndimage.gaussian_filter(inside.astype(float), 0.7 * fine)
  texture = 0.9 * smooth_texture(seed, row.shape, scale=1.8 * fine)

  def brought_down(values: np.ndarray) -> np.ndarray:
    return values.reshape(side, fine, side, fine).mean(axis=(1, 3))

  def frame(shift: tuple[float, float]) -> np.ndarray:
    moved = [
      scipy.ndimage.shift(v, np.multiply(shift, fine), order=3, mode='nearest')
      for v in (alpha, texture)
    ]
    image = brought_down(np.clip(moved[0], 0, 1) * moved[1])
    return np.clip(image, -1, 1).astype(np.float32)[..., None]

  return frame((0.0, 0.0)), frame(displacement), brought_down(alpha)
