"""Pairs of frames with large motion, known flow and known occlusion.

A photograph of scikit-image is the background; cut-outs of two or three others
lie on it. The background moves by a few pixels, each cut-out by 10 to 30, with
a rotation and a change of size. A cut-out is a smooth closed shape: its radius
is a short Fourier series of the angle.

Layer l moves by x -> M_l x + b_l. It is drawn in the second frame at the
inverse of this map, by a cubic spline, and its transparency from the shape's
own formula. The flow of a pixel is that of its nearest layer; a pixel is
occluded if a nearer layer covers it in the second frame, or if it leaves.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import skimage.data
import skimage.transform

SIZE = (224, 288)  # Height and width of the frames.
NUM_PAIRS = 8  # Even numbers for choices, odd numbers for reports.
_PHOTOGRAPHS = ('coffee', 'chelsea', 'rocket', 'astronaut', 'motorcycle')
_MARGIN = 12  # Of the background, in pixels.
_LENGTHS = (10.0, 30.0)  # Of a cut-out's motion, in pixels.
_RADII = (26.0, 52.0)  # Of a cut-out, in pixels.
_HARMONICS = np.arange(2, 6)
_ROTATION, _ZOOM = 4.0, 0.03  # Bounds of a cut-out's, in degrees and as a part.
_BACKGROUND_SHIFT, _BACKGROUND_ROTATION = 3.0, 1.0


class LayeredPair(NamedTuple):
  """Two frames and what is known of them.

  Attributes:
    first: First frame, [H, W, 3] in [-1, 1].
    second: Second frame, [H, W, 3].
    flow: Flow (u, v) of each pixel of the first frame in pixels, [H, W, 2].
    occluded: Mask of pixels that the second frame does not show, [H, W].
  """

  first: np.ndarray
  second: np.ndarray
  flow: np.ndarray
  occluded: np.ndarray


class _Layer(NamedTuple):
  """A cut-out: points are complex numbers x + i y in pixels.

  A point z of the first frame is at centre + turn * (z - centre) + shift.
  `series` is the shape's Fourier series, or None for a background.
  """

  image: np.ndarray
  centre: complex
  turn: complex
  shift: complex
  radius: float = 0.0
  series: np.ndarray | None = None

  def moved(self, points: np.ndarray) -> np.ndarray:
    """Points of the second frame."""
    return self.centre + self.turn * (points - self.centre) + self.shift

  def back(self, points: np.ndarray) -> np.ndarray:
    """Points of the first frame."""
    return self.centre + (points - self.centre - self.shift) / self.turn

  def opacity(self, points: np.ndarray) -> np.ndarray:
    """In [0, 1], at points of the first frame."""
    if self.series is None:
      return np.ones(points.shape)
    offset = points - self.centre
    angle = np.angle(offset)[..., None] * _HARMONICS
    radius = self.radius * (1 + np.real(np.exp(1j * angle) @ self.series))
    return np.clip(radius - np.abs(offset) + 0.5, 0, 1)

  def colour(self, points: np.ndarray) -> np.ndarray:
    """At points of the first frame, [..., 3]."""
    places = [points.imag + _MARGIN, points.real + _MARGIN]
    channels = [
      scipy.ndimage.map_coordinates(plane, places, order=3, mode='mirror')
      for plane in np.moveaxis(self.image, -1, 0)
    ]
    return np.stack(channels, axis=-1)


def make(number: int) -> LayeredPair:
  """The pair of a number, from 0 to NUM_PAIRS - 1."""
  layers = _draw_layers(np.random.default_rng(number))
  rows, columns = np.indices(SIZE)
  points = columns + 1j * rows
  first, second = (np.zeros((*SIZE, 3)) for _ in range(2))
  nearest = np.zeros(SIZE, int)
  for index, layer in enumerate(layers):
    own = layer.opacity(points)
    first += own[..., None] * (layer.colour(points) - first)
    nearest[own >= 0.5] = index
    source = layer.back(points)
    own = layer.opacity(source)[..., None]
    second += own * (layer.colour(source) - second)
  ends = np.stack([layer.moved(points) for layer in layers])
  end = np.take_along_axis(ends, nearest[None], axis=0)[0]
  covers = np.stack([layer.opacity(layer.back(end)) for layer in layers])
  nearer = np.arange(len(layers))[:, None, None] > nearest
  covered = (nearer & (covers >= 0.5)).any(axis=0)
  inside = (end.real >= 0) & (end.real <= SIZE[1] - 1)
  inside &= (end.imag >= 0) & (end.imag <= SIZE[0] - 1)
  flow = np.stack([(end - points).real, (end - points).imag], axis=-1)
  return LayeredPair(
    _to_8_bits(first),
    _to_8_bits(second),
    flow.astype(np.float32),
    covered | ~inside,
  )


def _draw_layers(rng: np.random.Generator) -> list[_Layer]:
  """A background and two or three cut-outs of other photographs."""
  names = rng.permutation(_PHOTOGRAPHS)
  middle = (SIZE[1] - 1) / 2 + 0.5j * (SIZE[0] - 1)
  shift = complex(*rng.uniform(-_BACKGROUND_SHIFT, _BACKGROUND_SHIFT, 2))
  angle = np.radians(rng.uniform(-_BACKGROUND_ROTATION, _BACKGROUND_ROTATION))
  background = _photograph(names[0], _MARGIN)
  layers = [_Layer(background, middle, np.exp(1j * angle), shift)]
  for name in names[1 : rng.integers(3, 5)]:
    centre = rng.uniform(0.2, 0.8) * SIZE[1] + 1j * (
      rng.uniform(0.2, 0.8) * SIZE[0]
    )
    # Towards the middle, so that little of it leaves.
    aim = middle + complex(*rng.normal(0, 60, 2)) - centre
    angle = np.radians(rng.uniform(-_ROTATION, _ROTATION))
    phases = np.exp(2j * np.pi * rng.uniform(size=len(_HARMONICS)))
    layers.append(
      _Layer(
        _photograph(name, _MARGIN),
        centre,
        (1 + rng.uniform(-_ZOOM, _ZOOM)) * np.exp(1j * angle),
        rng.uniform(*_LENGTHS) * aim / abs(aim),
        rng.uniform(*_RADII),
        0.3 / _HARMONICS * phases,
      )
    )
  return layers


def _photograph(name: str, margin: int) -> np.ndarray:
  """The middle of a photograph, of the frames' size and a margin."""
  is_pair = name == 'motorcycle'
  image = (
    skimage.data.stereo_motorcycle()[0]
    if is_pair
    else getattr(skimage.data, name)()
  )
  wanted = np.array(SIZE) + 2 * margin
  scale = np.max(wanted / image.shape[:2])
  size = np.maximum(np.ceil(scale * np.array(image.shape[:2])), wanted)
  small = skimage.transform.resize(
    image / 255.0, size.astype(int), order=3, anti_aliasing=True
  )
  top, left = (size.astype(int) - wanted) // 2
  cut = small[top : top + wanted[0], left : left + wanted[1]]
  return 2 * cut.clip(0, 1) - 1


def _to_8_bits(image: np.ndarray) -> np.ndarray:
  return (np.rint(127.5 * (image.clip(-1, 1) + 1)) / 127.5 - 1).astype('f4')
