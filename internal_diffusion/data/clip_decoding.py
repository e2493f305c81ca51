"""Frames of animations and films, decoded one at a time.

Animations (GIF, WebP, PNG) need Pillow alone. Films (MP4 and others) need
ffmpeg, which the extra `video` installs.
"""

import importlib
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

ANIMATIONS = ('.gif', '.webp', '.png', '.apng')
FILMS = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi')
_DEFAULT_RATE = 10.0  # Of an animation without times, in frames per second.
_MAX_RATE = 1000.0


def read_animation(path: pathlib.Path) -> tuple[Iterator[np.ndarray], float]:
  """The frames of an animation, one at a time, and their rate.

  Args:
    path: A GIF, WebP or PNG file.

  Returns:
    Frames [H, W, 1 or 3] uint8, transparent pixels on white, and frames per
    second.

  Raises:
    ValueError: If the file cannot be read; or later, when its frame cannot be.
  """
  try:
    image = Image.open(path)
  except UnidentifiedImageError:
    raise ValueError(f'`{path}` is not an animation that can be read.') from None
  num_frames = getattr(image, 'n_frames', 1)
  image.seek(0)
  milliseconds = image.info.get('duration') or 1000 / _DEFAULT_RATE
  return _frames_of(path, image), min(1000 / milliseconds, _MAX_RATE) * (
    num_frames > 0
  )


def _frames_of(path: pathlib.Path, image: Image.Image) -> Iterator[np.ndarray]:
  frames = iter(ImageSequence.Iterator(image))
  index = 0
  while True:
    try:
      frame = next(frames, None)
      if frame is None:
        return
      pixels = _on_white(frame)
    except Exception as error:  # Pillow's decoders raise many types.
      raise ValueError(
        f'Frame {index} of `{path}` is truncated or corrupt: {error}.'
      ) from error
    yield pixels
    index += 1


def _on_white(frame: Image.Image) -> np.ndarray:
  """Pixels [H, W, 1 or 3] of a frame, on white where it is transparent."""
  if frame.mode in ('L', '1'):
    return np.asarray(frame.convert('L'))[..., None]
  if not frame.has_transparency_data:
    return np.asarray(frame.convert('RGB'))
  white = Image.new('RGBA', frame.size, 'white')
  white.alpha_composite(frame.convert('RGBA'))
  return np.asarray(white.convert('RGB'))


def read_film(path: pathlib.Path) -> tuple[Iterator[np.ndarray], float]:
  """The frames of a film, one at a time, and their rate.

  Args:
    path: A file that ffmpeg reads.

  Returns:
    Frames [H, W, 3] uint8, and frames per second.

  Raises:
    ValueError: If ffmpeg is not installed or cannot read the file; or later,
      when the film ends early.
  """
  reader = ffmpeg().read_frames(str(path))
  try:
    about = next(reader)
  except (OSError, RuntimeError, StopIteration, IndexError):
    raise ValueError(
      f'`{path}` is not a film that ffmpeg can read, or its codec is unknown;'
      f' readable are {", ".join((*ANIMATIONS, *FILMS))} and folders of'
      ' pictures.'
    ) from None
  return _frames_of_film(path, reader, about), float(about['fps'])


def _frames_of_film(
  path: pathlib.Path, reader: Iterator[bytes], about: dict[str, Any]
) -> Iterator[np.ndarray]:
  width, height = about['size']
  expected = math.floor(about.get('duration', 0) * about['fps'] - 1.5)
  index = 0
  try:
    for data in reader:
      yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
      index += 1
  except (OSError, RuntimeError, ValueError) as error:
    reason = ' '.join(str(error).split())[:120]
    raise ValueError(
      f'Frame {index} of `{path}` is truncated or corrupt: {reason}.'
    ) from error
  if index < expected:
    raise ValueError(
      f'Frame {index} of `{path}` is truncated or corrupt: the film ends there,'
      f' but it should have about {expected + 1} frames.'
    )


def ffmpeg() -> Any:
  """The module `imageio_ffmpeg`.

  Raises:
    ValueError: If it is not installed.
  """
  try:
    return importlib.import_module('imageio_ffmpeg')
  except ImportError:
    raise ValueError(
      f'Films ({", ".join(FILMS)}) need ffmpeg: pip install'
      " 'internal-diffusion[video]'. Without it, animations"
      f' ({", ".join(ANIMATIONS)}) and folders of pictures can be read.'
    ) from None


def has_ffmpeg() -> bool:
  """Whether films can be read and written."""
  try:
    ffmpeg()
  except ValueError:
    return False
  return True
