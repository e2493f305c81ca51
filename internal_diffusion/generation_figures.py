"""Pictures of how an image was made, and of where its pixels are from."""

import pathlib

import numpy as np

from internal_diffusion.data import image_io


def write_sample(
  directory: pathlib.Path,
  name: str,
  generated: tuple[np.ndarray, ...],
  source: np.ndarray,
  image: np.ndarray,
) -> None:
  """Writes an image, its trace and the map of its sources."""
  finest = generated[-1]
  image_io.write_image(directory / f'{name}.png', finest)
  frames = [_enlarge(level, finest.shape[:2]) for level in generated]
  image_io.write_image(
    directory / f'{name}_trace.png', np.concatenate(frames, axis=1)
  )
  image_io.write_animation(directory / f'{name}_trace.gif', frames)
  colours = _false_colours(*image.shape[:2])
  row, column = np.moveaxis(source, -1, 0)
  found = colours[row, column]
  height = max(len(colours), len(found))
  pair = [
    np.pad(part, ((0, height - len(part)), (0, 4), (0, 0)), constant_values=1.0)
    for part in (colours, found)
  ]
  image_io.write_image(
    directory / f'{name}_source.png', np.concatenate(pair, axis=1)
  )


def _enlarge(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Nearest neighbours, so that a coarse level looks like one."""
  rows, columns = (
    np.arange(new) * old // new
    for new, old in zip(size, image.shape[:2], strict=True)
  )
  return image[rows[:, None], columns[None]]


def _false_colours(height: int, width: int) -> np.ndarray:
  """Colours that say where a pixel is: green down, red to the right."""
  down, right = np.meshgrid(
    np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing='ij'
  )
  return np.stack([right, down, -(down + right) / 2], axis=-1)
