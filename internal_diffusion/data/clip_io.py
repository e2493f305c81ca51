"""Reading and writing clips: folders of frames, GIF, WebP, PNG, MP4.

A clip keeps 8 bits a channel, a quarter of the memory of floats, and gives each
frame as an image [H, W, C] float32 in [-1, 1] when it is asked for. Files are
decoded frame by frame, and no further than the last frame that is wanted.
"""

import dataclasses
import itertools
import os
import pathlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from internal_diffusion import arrays, files
from internal_diffusion.data import clip_coding, image_encoding, image_io

_PathLike = str | os.PathLike[str]
_PICTURES = ('.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp')
_FOLDER_RATE = 10.0  # Frames per second, of pictures in a folder.


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
  """Frames of one size.

  Attributes:
    pixels: Samples of the frames, [T, H, W, C] uint8, C = 1 or 3.
    rate: Frames per second.
  """

  pixels: np.ndarray
  rate: float = _FOLDER_RATE

  def __post_init__(self) -> None:
    """Raises ValueError unless there are two frames with some content."""
    shape = np.shape(self.pixels)
    if len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape:
      raise ValueError(
        f'`pixels` must be [T, H, W, 1 or 3], got an array of shape {shape}.'
      )
    if self.pixels.dtype != np.uint8:
      raise ValueError(f'`pixels` must be uint8, got {self.pixels.dtype}.')
    arrays.check_in_range('rate', self.rate, 0, 1000, open_low=True)
    if len(self) < 2:
      raise ValueError('`clip` must have two frames or more, got one.')
    if np.all(self.pixels == self.pixels[0, 0, 0]):
      raise ValueError(
        '`clip` must show something; all its pixels have one colour.'
      )

  def __len__(self) -> int:
    return len(self.pixels)

  @property
  def size(self) -> tuple[int, int]:
    """(height, width) of a frame."""
    return self.pixels.shape[1:3]

  def frame(self, index: int) -> np.ndarray:
    """One frame, [H, W, C] float32 in [-1, 1]."""
    return self.pixels[index].astype(np.float32) / 127.5 - 1

  def frames(self) -> np.ndarray:
    """All frames, [T, H, W, C] float32 in [-1, 1]."""
    return self.pixels.astype(np.float32) / 127.5 - 1


def make_clip(frames: np.ndarray, *, rate: float = _FOLDER_RATE) -> Clip:
  """A clip of frames [T, H, W, C] of floats in [-1, 1], rounded to 8 bits."""
  return Clip(to_samples(frames), rate)


def to_samples(frames: np.ndarray) -> np.ndarray:
  """Samples uint8 of floats in [-1, 1], of any shape."""
  return np.rint((np.clip(frames, -1, 1) + 1) * 127.5).astype(np.uint8)


def read_clip(path: _PathLike, *, last: int | None = None) -> Clip:
  """Reads a clip.

  Args:
    path: A folder of pictures, in the order of the numbers in their names; a
      GIF, WebP or PNG animation; or a film, which needs the extra `video`.
    last: Number of frames after which reading stops; None is all.

  Returns:
    The clip.

  Raises:
    FileNotFoundError: If there is no such file or folder, or no picture in it.
    ValueError: If a frame cannot be read, or differs in size, or the clip has
      one frame, or one colour alone.
  """
  path = pathlib.Path(path)
  if last is not None:
    arrays.check_positive_int('last', last)
  frames, rate = _open(path)
  return Clip(_of_one_size(itertools.islice(frames, last), path), rate)


def read_first_frame(path: _PathLike) -> np.ndarray:
  """The first frame of a clip, [H, W, C] float32 in [-1, 1].

  Raises:
    FileNotFoundError: If there is no such file or folder, or no picture in it.
    ValueError: If the frame cannot be read.
  """
  frames, _ = _open(pathlib.Path(path))
  for frame in frames:
    return frame.astype(np.float32) / 127.5 - 1
  raise ValueError(f'`{path}` has no frame.')


def _open(path: pathlib.Path) -> tuple[Iterator[np.ndarray], float]:
  """The frames of a clip, one by one, and their rate."""
  if path.is_dir():
    return _read_folder(path), _FOLDER_RATE
  if not path.exists():
    raise FileNotFoundError(f'There is no clip `{path}`.')
  if path.suffix.lower() in clip_coding.ANIMATIONS:
    return clip_coding.read_animation(path)
  if path.suffix.lower() in clip_coding.FILMS:
    return clip_coding.read_film(path)
  readable = (*clip_coding.ANIMATIONS, *clip_coding.FILMS)
  raise ValueError(
    f'`{path}` is no clip that can be read; readable are'
    f' {", ".join(readable)} and folders of pictures.'
  )


def _read_folder(folder: pathlib.Path) -> Iterator[np.ndarray]:
  paths = [
    path
    for path in folder.iterdir()
    if path.suffix.lower() in _PICTURES and not path.name.startswith('.')
  ]
  if not paths:
    raise FileNotFoundError(f'There is no picture in the folder `{folder}`.')
  said: set[str] = set()
  first: tuple[pathlib.Path, tuple[int, int]] | None = None
  for path in sorted(paths, key=_by_number):
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('always')
      image = image_io.read_image(path, channels=None)
    for warning in caught:
      # What is lost of many frames is said of the first one.
      text = str(warning.message)
      loss = text.removeprefix(f'`{path}`')
      if loss not in said:
        said.add(loss)
        warnings.warn(text, warning.category, stacklevel=2)
    height, width = image.shape[:2]
    first = first or (path, (height, width))
    if (height, width) != first[1]:
      raise ValueError(
        f'The frames of a clip must have one size; `{first[0]}` is'
        f' {first[1][0]}x{first[1][1]} (height x width) and `{path}` is'
        f' {height}x{width}.'
      )
    yield to_samples(image)


def _by_number(path: pathlib.Path) -> list[tuple[int, str]]:
  """frame2 before frame10."""
  parts = re.split(r'(\d+)', path.name)
  return [(int(p) if p.isdecimal() else -1, p) for p in parts]


def _of_one_size(
  frames: Iterable[np.ndarray], path: pathlib.Path
) -> np.ndarray:
  """Frames [T, H, W, C] of frames of one size; grey ones become RGB if mixed.

  Raises:
    ValueError: If the sizes differ.
  """
  found: list[np.ndarray] = []
  for index, frame in enumerate(frames):
    if found and frame.shape[:2] != found[0].shape[:2]:
      (height, width), (own_height, own_width) = (
        found[0].shape[:2],
        frame.shape[:2],
      )
      raise ValueError(
        f'The frames of `{path}` must have one size; frame 0 is'
        f' {height}x{width} (height x width) and frame {index} is'
        f' {own_height}x{own_width}.'
      )
    found.append(frame)
  if not found:
    raise ValueError(f'`{path}` has no frame.')
  channels = max(frame.shape[-1] for frame in found)
  return np.stack(
    [
      frame if frame.shape[-1] == channels else frame.repeat(3, axis=-1)
      for frame in found
    ]
  )


def write_frames(
  folder: _PathLike, frames: Sequence[np.ndarray] | np.ndarray
) -> None:
  """Writes frames [H, W, C] in [-1, 1] as 000.png, 001.png, ... of a folder."""
  for index, frame in enumerate(frames):
    image_io.write_image(pathlib.Path(folder) / f'{index:03d}.png', frame)


def write_gif(
  path: _PathLike, frames: Sequence[np.ndarray] | np.ndarray, *, rate: float
) -> None:
  """Writes frames [H, W, C] in [-1, 1] as a GIF that repeats.

  A GIF counts hundredths of a second: the rate is the nearest that it has.
  """
  samples = [to_samples(frame) for frame in frames]
  hundredths = max(2, round(100 / rate))
  files.write_atomically(
    path, image_encoding.encode_animation(samples, seconds=hundredths / 100)
  )


def write_mp4(
  path: _PathLike, frames: Sequence[np.ndarray] | np.ndarray, *, rate: float
) -> None:
  """Writes frames [H, W, C] in [-1, 1] as a film (H.264).

  Raises:
    ValueError: If ffmpeg is not installed.
  """
  samples = (to_samples(frame) for frame in frames)
  coloured = (s.repeat(3, axis=-1) if s.shape[-1] == 1 else s for s in samples)
  data = clip_coding.encode_film(coloured, frames[0].shape[:2], rate=rate)
  files.write_atomically(path, data)
