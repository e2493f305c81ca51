"""Clips with known truth, made of scikit-image's photographs, in 8 bits.

Frames [T, H, W, 3] in [-1, 1]. A camera pans unevenly, turns and zooms; or an
object with another photograph's texture moves over a background that moves
otherwise.
"""

import numpy as np
import skimage.data
from scipy import ndimage

SIZE = (144, 256)
_OVERSAMPLING = 2  # Samples of a pixel, along each axis.
_MARGIN = 1.35  # Of the photograph around a frame, as a ratio.


def photograph(name: str) -> np.ndarray:
  """A photograph of scikit-image, [H, W, 3] in [-1, 1]."""
  found = getattr(skimage.data, name)()
  image = found[0] if isinstance(found, tuple) else found
  return image[..., :3].astype(np.float32) / 127.5 - 1


def to_8_bits(frames: np.ndarray) -> np.ndarray:
  """Frames rounded to 8 bits, as a camera gives them."""
  samples = np.rint(127.5 * (frames.clip(-1, 1) + 1))
  return samples.astype(np.float32) / 127.5 - 1


def camera(
  image: np.ndarray,
  num_frames: int,
  *,
  pan: tuple[float, float],
  turn: float = 0.0,
  zoom: float = 0.0,
  phase: float = 0.0,
  sway: float = 1.0,
) -> np.ndarray:
  """A photograph, seen by a camera that moves.

  Args:
    image: The photograph, [H, W, 3].
    num_frames: Number of frames.
    pan: Steady motion (x, y) in pixels per frame.
    turn: Rotation in radians per frame.
    zoom: Logarithm of the zoom per frame.
    phase: Of the sway, in radians.
    sway: Strength of an uneven motion and rotation; 0 is none.
  """
  (height, width), n = SIZE, _OVERSAMPLING
  y, x = np.mgrid[: height * n, : width * n].astype(np.float64)
  y, x = (y + 0.5) / n - height / 2, (x + 0.5) / n - width / 2
  scale = min(
    side / (_MARGIN * own) for side, own in zip(image.shape, SIZE, strict=False)
  )
  smooth = ndimage.gaussian_filter(image, (0.35 * scale, 0.35 * scale, 0))
  frames = []
  for index in range(num_frames):
    time = index - (num_frames - 1) / 2
    angle = turn * time + 0.01 * sway * np.sin(time / 3 + phase)
    size = np.exp(zoom * time)
    rows = size * (np.cos(angle) * y - np.sin(angle) * x) + pan[1] * time
    rows += 0.8 * sway * np.sin(time / 2.5 + phase)
    columns = size * (np.sin(angle) * y + np.cos(angle) * x) + pan[0] * time
    where = [
      image.shape[0] / 2 + scale * rows - 0.5,
      image.shape[1] / 2 + scale * columns - 0.5,
    ]
    frame = np.stack(
      [
        ndimage.map_coordinates(smooth[..., c], where, order=3, mode='reflect')
        for c in range(3)
      ],
      axis=-1,
    )
    frames.append(frame.reshape(height, n, width, n, 3).mean(axis=(1, 3)))
  return to_8_bits(np.stack(frames))


def layered(
  background: np.ndarray,
  texture: np.ndarray,
  num_frames: int,
  *,
  velocity: tuple[float, float],
  radius: float,
) -> np.ndarray:
  """An object with three bulges that moves over a moving background."""
  behind = camera(background, num_frames, pan=(-0.6, 0.2))
  front = camera(texture, num_frames, pan=(-velocity[0], -velocity[1]))
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  frames = []
  for index in range(num_frames):
    time = index - (num_frames - 1) / 2
    down = y - SIZE[0] / 2 - velocity[1] * time + 0.8 * np.sin(time / 2.5)
    right = x - SIZE[1] / 2 - velocity[0] * time
    edge = radius * (1 + 0.25 * np.cos(3 * np.arctan2(down, right)))
    share = (edge - np.hypot(down, right) + 0.5).clip(0, 1)[..., None]
    frames.append(share * front[index] + (1 - share) * behind[index])
  return to_8_bits(np.stack(frames))


def made_clips(num_frames: int) -> dict[str, np.ndarray]:
  """Four clips by their names; the first two moved by a camera."""
  return {
    'camera, coffee': camera(
      photograph('coffee'), num_frames, pan=(1.3, 0.7), turn=4e-3, zoom=4e-3
    ),
    'camera, astronaut': camera(
      photograph('astronaut'),
      num_frames,
      pan=(-2.2, 0.9),
      turn=-6e-3,
      zoom=-6e-3,
      phase=1,
    ),
    'layers, chelsea and rocket': layered(
      photograph('chelsea'),
      photograph('rocket'),
      num_frames,
      velocity=(2.1, 0.6),
      radius=32,
    ),
    'layers, motorcycle and coffee': layered(
      photograph('stereo_motorcycle'),
      photograph('coffee'),
      num_frames,
      velocity=(-3.0, 1.1),
      radius=28,
    ),
  }


def covered(
  num_frames: int, *, pan: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A disc that passes over a background: truth, frames and masks [T, H, W].

  The camera stands still where `pan` is 0.
  """
  sway = float(any(pan))
  truth = camera(photograph('coffee'), num_frames, pan=pan, sway=sway)
  texture = camera(photograph('rocket'), num_frames, pan=(1.3, 0.7))
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  frames, masks = truth.copy(), []
  for index in range(num_frames):
    distance = np.hypot(y - 70, x - (40 + 16 * index))
    frames[index][distance < 26] = texture[index][distance < 26]
    masks.append(distance < 29)
  return truth, frames, np.stack(masks)
