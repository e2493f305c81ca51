"""Frames of animations and films, decoded one at a time, and films encoded.

Animations (GIF, WebP, PNG) need Pillow alone. Films (MP4 and others) need
ffmpeg, which the extra `video` installs.
"""

import contextlib
import importlib
import io
import math
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

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
    # In memory, so that no file stays open; the frames are decoded one by one.
    image = Image.open(io.BytesIO(path.read_bytes()))
  except UnidentifiedImageError:
    raise ValueError(
      f'`{path}` is not an animation that can be read.'
    ) from None
  try:
    image.load()  # A WebP file says only then how long a frame is shown.
  except Exception as error:  # Pillow's decoders raise many types.
    raise ValueError(
      f'Frame 0 of `{path}` is truncated or corrupt: {error}.'
    ) from error
  milliseconds = image.info.get('duration') or 1000 / _DEFAULT_RATE
  return _frames_of(path, image), min(1000 / milliseconds, _MAX_RATE)


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
  # Without an output, ffmpeg describes its input and ends with an error.
  about = subprocess.run(
    [ffmpeg(), '-hide_banner', '-i', str(path)],
    stdin=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    check=False,
  ).stderr.decode(errors='replace')
  rate = re.search(r'Video: .*?([\d.]+) fps', about)
  if rate is None or 'unknown codec' in about:
    raise ValueError(
      f'`{path}` is not a film that ffmpeg can read, or its codec is unknown;'
      f' readable are {", ".join((*ANIMATIONS, *FILMS))} and folders of'
      ' pictures.'
    )
  fps = float(rate[1])
  duration = re.search(r'Duration: (\d+):(\d+):([\d.]+)', about)
  seconds = 0.0
  if duration is not None:
    hours, minutes = int(duration[1]), int(duration[2])
    seconds = 60 * (60 * hours + minutes) + float(duration[3])
  # A film may begin or end within a frame.
  return _frames_of_film(path, math.floor(seconds * fps - 1.5)), fps


def _frames_of_film(
  path: pathlib.Path, num_expected: int
) -> Iterator[np.ndarray]:
  options = [
    '-fps_mode',
    'passthrough',
    '-f',
    'image2pipe',
    '-vcodec',
    'ppm',
    '-',
  ]
  process = subprocess.Popen(
    [ffmpeg(), '-loglevel', 'error', '-i', str(path), *options],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
  )
  assert process.stdout is not None
  index = 0
  try:
    while True:
      frame = _read_ppm(process.stdout)
      if frame is None:
        break
      yield frame
      index += 1
  finally:
    process.stdout.close()
    process.kill()
    process.wait()
  if index < max(num_expected, 1):
    raise ValueError(
      f'Frame {index} of `{path}` is truncated or corrupt: the film ends there,'
      f' but should have about {num_expected + 1} frames.'
    )


def _read_ppm(stream: IO[bytes]) -> np.ndarray | None:
  """The next picture of a stream of PPM files; None at its end."""
  if stream.readline().strip() != b'P6':
    return None
  width, height = map(int, stream.readline().split())
  stream.readline()
  data = stream.read(3 * width * height)
  if len(data) < 3 * width * height:
    return None
  return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def encode_film(
  frames: Iterable[np.ndarray], size: tuple[int, int], *, rate: float
) -> bytes:
  """The bytes of an MP4 file (H.264) of frames.

  Args:
    frames: Frames [H, W, 3] uint8.
    size: (height, width) of the frames.
    rate: Frames per second.

  Raises:
    ValueError: If ffmpeg is not installed, or fails.
  """
  height, width = size
  # Players want colour at half the resolution, which needs even sides.
  pixels = 'yuv420p' if height % 2 == width % 2 == 0 else 'yuv444p'
  given = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}']
  given += ['-r', f'{rate:g}']
  wanted = ['-vcodec', 'libx264', '-crf', '12', '-pix_fmt', pixels]
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'clip.mp4'
    process = subprocess.Popen(
      [ffmpeg(), '-loglevel', 'error', *given, '-i', '-', *wanted, str(path)],
      stdin=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
      for frame in frames:
        process.stdin.write(np.ascontiguousarray(frame).tobytes())
      process.stdin.close()
    if process.wait():
      raise ValueError('ffmpeg could not write the film.')
    return path.read_bytes()


def ffmpeg() -> str:
  """Path of the program ffmpeg, which `imageio_ffmpeg` brings.

  Raises:
    ValueError: If it is not installed.
  """
  try:
    return importlib.import_module('imageio_ffmpeg').get_ffmpeg_exe()
  except (ImportError, RuntimeError):
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
