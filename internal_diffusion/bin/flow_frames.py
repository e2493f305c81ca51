"""The frames of `idiff-flow`, their pairs, and pixels: a mask, and points."""

import contextlib
import itertools
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from internal_diffusion.applications.flow.pixels import check_points
from internal_diffusion.data import image_io, masks

Frames = Mapping[pathlib.Path, np.ndarray]


def read_frames(
  paths: Sequence[pathlib.Path],
) -> tuple[Frames, dict[str, str]]:
  """Frames by path; in a sequence, those unlike the first are left out.

  Returns:
    The frames, and why others are left out, by path.
  """
  if len(paths) < 2:
    raise ValueError(
      f'`frames` must name two frames or more, got {len(paths)}; with a comma'
      ' between, as in --frames=a.png,b.png.'
    )
  frames: dict[pathlib.Path, np.ndarray] = {}
  left_out: dict[str, str] = {}
  for path in dict.fromkeys(paths):
    try:
      # The channels of the file tell grey from colour.
      image = image_io.read_image(path, channels=None)
      if frames:
        _check_alike(next(iter(frames.items())), (path, image))
    except (ValueError, OSError) as error:
      if len(paths) == 2:
        raise
      warnings.warn(f'{path} is left out: {error}', stacklevel=2)
      left_out[str(path)] = str(error)
      continue
    frames[path] = image
  if not frames:
    raise ValueError('`frames` must hold pictures, but none can be read.')
  return frames, left_out


def read_mask(name: str | None, size: tuple[int, int]) -> np.ndarray | None:
  """The mask of pixels not to measure, [H, W] booleans; None is none."""
  if not name:
    return None
  picture, _ = image_io.read_image_with_alpha(name)
  if picture.shape[:2] != size:
    raise ValueError(
      f'`mask` must have the size of the frames, {size}, got'
      f' {picture.shape[:2]}.'
    )
  try:
    return masks.read_mask(name, size)
  except masks.UniformMaskError as error:
    if error.colour == 'black':
      return None
    raise ValueError(
      '`mask` must be black at the pixels to measure; it is white everywhere.'
    ) from error


def read_points(names: Sequence[str], size: tuple[int, ...]) -> np.ndarray:
  """Pixels (x, y) from texts X:Y, [N, 2]."""
  try:
    pairs = [name.split(':') for name in names]
    found = np.array([(int(x), int(y)) for x, y in pairs], int).reshape(-1, 2)
  except (ValueError, OverflowError) as error:
    raise ValueError(
      f'`points` must be pixels such as 10:20,30:40, got {",".join(names)}.'
    ) from error
  check_points(found, size)
  return found


@contextlib.contextmanager
def named(paths: Sequence[pathlib.Path]) -> Iterator[None]:
  """Lets errors name the files of a pair, where they say `first` or `second`.

  Args:
    paths: Files of both frames.
  """
  try:
    yield
  except ValueError as error:
    text = str(error).replace('`ignored`', '`mask`')
    for name, path in zip(('`first`', '`second`'), paths, strict=True):
      text = text.replace(name, str(path))
    if text == str(error):
      raise
    raise ValueError(text) from error


def pairs_of(
  paths: Sequence[pathlib.Path], frames: Frames, *, double_frames: bool
) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
  """Pairs of frames that could be read, by name."""
  step = 2 if double_frames else 1
  if double_frames and len(paths) % 2:
    raise ValueError(
      f'`frames` must be an even number with --double_frames, got {len(paths)}.'
    )
  found = {
    f'{index:03d}_{index + 1:03d}': pair
    for index, pair in enumerate(itertools.pairwise(paths))
    if index % step == 0 and all(path in frames for path in pair)
  }
  if not found:
    raise ValueError('`frames` must hold two frames of one size in a row.')
  return found


def _check_alike(
  first: tuple[pathlib.Path, np.ndarray],
  other: tuple[pathlib.Path, np.ndarray],
) -> None:
  (path, image), (other_path, other_image) = first, other
  height, width, channels = image.shape
  own_height, own_width, own_channels = other_image.shape
  if (own_height, own_width) != (height, width):
    raise ValueError(
      f'`frames` must have one size; {path} is {width}x{height} and'
      f' {other_path} is {own_width}x{own_height}.'
    )
  if own_channels != channels:
    raise ValueError(
      f'`frames` must all be grey or all be coloured; {path} has'
      f' {channels} channels and {other_path} {own_channels}.'
    )
