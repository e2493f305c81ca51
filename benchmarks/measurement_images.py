"""Pairs of particle images and speckle with known displacement.

A field is a function (x, y) -> (u, v) in pixels of a 256x256 frame. A particle
at (x, y) in the first frame is at (x + u, y + v) in the second, unless it left
the light sheet; then another has come in elsewhere. Particles are Gaussians
integrated over pixels; their diameter is that of exp(-2).
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.special
import skimage.data

SIDE = 256
_MARGIN = 40  # Of the space around a frame that particles come from, in pixels.
_CENTRE = (SIDE - 1) / 2
_BACKGROUND, _PEAK = 10.0, 200.0  # Grey levels of 255.
_PEAK_OF_VORTEX = 0.6382  # Of (1 - exp(-r^2)) / r.

Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Recording:
  """How particles are seen.

  Attributes:
    diameter: Diameter of a particle, in pixels.
    density: Particles per pixel.
    noise: Standard deviation of the noise, over the full scale.
    loss: Part of the particles that only one frame shows.
  """

  diameter: float = 2.5
  density: float = 0.05
  noise: float = 0.02
  loss: float = 0.05


class Pair(NamedTuple):
  """Frames [H, W] of 8 bits, the true (u, v) [H, W, 2], and the field."""

  first: np.ndarray
  second: np.ndarray
  truth: np.ndarray
  field: Field


def uniform(u: float, v: float) -> Field:
  """A constant shift."""
  return lambda x, y: (np.full_like(x, u), np.full_like(y, v))


def shear(rate: float) -> Field:
  """Horizontal motion that grows along y by `rate` a pixel."""
  return lambda x, y: (rate * (y - _CENTRE), np.zeros_like(y))


def rotation(degrees: float) -> Field:
  """Rotation around the centre."""
  angle = np.radians(degrees)
  c, s = np.cos(angle) - 1, np.sin(angle)

  def field(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = x - _CENTRE, y - _CENTRE
    return c * x - s * y, s * x + c * y

  return field


def vortex(fastest: float, core: float = 25.0) -> Field:
  """Lamb-Oseen vortex with a core of this radius, in pixels."""

  def field(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = x - _CENTRE, y - _CENTRE
    squares = x**2 + y**2 + 1e-9
    turn = (1 - np.exp(-squares / core**2)) / squares
    turn *= fastest * core / _PEAK_OF_VORTEX
    return -turn * y, turn * x

  return field


def sine(amplitude: float, wavelength: float) -> Field:
  """Vertical motion that is a sine wave along x."""

  def field(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    phase = 2 * np.pi * (x - _CENTRE) / wavelength
    return np.zeros_like(y), amplitude * np.sin(phase)

  return field


def shear_layer(fastest: float, width: float) -> Field:
  """Horizontal motion that turns round across a layer of this half width."""
  return lambda x, y: (
    fastest * np.tanh((y - _CENTRE) / width),
    np.zeros_like(y),
  )


def vortex_array(fastest: float, wavelength: float) -> Field:
  """Vortices side by side that turn in opposite directions."""
  k = 2 * np.pi / wavelength
  return lambda x, y: (
    fastest * np.sin(k * x) * np.cos(k * y),
    -fastest * np.cos(k * x) * np.sin(k * y),
  )


def strain(rate: float) -> Field:
  """Motion away from the centre along x and towards it along y."""
  return lambda x, y: (rate * (x - _CENTRE), -rate * (y - _CENTRE))


def at_middle(field: Field, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Displacement of the content that is at (x, y) in the middle of its way."""
  start_x, start_y = x, y
  for _ in range(40):
    u, v = field(start_x, start_y)
    start_x, start_y = x - u / 2, y - v / 2
  return np.stack(field(start_x, start_y), axis=-1)


def particles(seed: int, field: Field, recording: Recording) -> Pair:
  """A pair of particle images."""
  rng = np.random.default_rng(seed)
  wide = SIDE + 2 * _MARGIN

  def draw(num: int) -> list[np.ndarray]:
    x, y = rng.uniform(-_MARGIN, SIDE + _MARGIN, (2, num))
    # Gaussian profile of the light sheet.
    return [x, y, np.exp(-2 * rng.uniform(-1, 1, num) ** 2)]

  x, y, light = draw(rng.poisson(recording.density * wide**2))
  u, v = field(x, y)
  there = [x + u, y + v, light.copy()]
  lost = rng.random(len(x)) < recording.loss
  for values, new in zip(there, draw(int(lost.sum())), strict=True):
    values[lost] = new
  frames = [
    _record(rng, _render(*seen, recording.diameter / 4), recording.noise)
    for seen in ((x, y, light), there)
  ]
  return Pair(frames[0], frames[1], _truth(field), field)


def speckle(seed: int, field: Field, texture: str, noise: float) -> Pair:
  """A texture of scikit-image at half its size, and the same one deformed."""
  rng = np.random.default_rng(seed)
  large = getattr(skimage.data, texture)().astype(np.float64)
  spline = scipy.ndimage.spline_filter(large, 5)
  rows, columns = (np.indices(large.shape) - 0.5) / 2  # In pixels of a frame.
  x, y = columns, rows
  for _ in range(40):
    u, v = field(x, y)
    x, y = columns - u, rows - v
  moved = scipy.ndimage.map_coordinates(
    spline, [2 * y + 0.5, 2 * x + 0.5], order=5, mode='mirror', prefilter=False
  )
  frames = []
  for frame in (large, moved):
    halves = frame.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    frames.append(_record(rng, (halves - _BACKGROUND) / _PEAK, noise))
  return Pair(frames[0], frames[1], _truth(field), field)


def _truth(field: Field) -> np.ndarray:
  y, x = np.indices((SIDE, SIDE)).astype(float)
  return np.stack(field(x, y), axis=-1)


def _record(
  rng: np.random.Generator, light: np.ndarray, noise: float
) -> np.ndarray:
  """A frame of 8 bits."""
  seen = _BACKGROUND + _PEAK * light
  seen = seen + 255 * noise * rng.standard_normal(seen.shape)
  return np.rint(seen).clip(0, 255).astype(np.uint8)


def _render(
  x: np.ndarray, y: np.ndarray, light: np.ndarray, stddev: float
) -> np.ndarray:
  """Particles integrated over the pixels of a frame, [SIDE, SIDE]."""
  reach = int(np.ceil(6 * stddev)) + 1
  steps = np.arange(-reach, reach + 1)
  wide = SIDE + 2 * _MARGIN
  x, y = x + _MARGIN, y + _MARGIN
  low, high = reach, wide - reach - 1
  inside = (x > low) & (x < high) & (y > low) & (y < high)
  x, y, light = x[inside], y[inside], light[inside]
  columns, rows = (np.rint(p).astype(int)[:, None] + steps for p in (x, y))

  def profile(pixels: np.ndarray, centre: np.ndarray) -> np.ndarray:
    offset = (pixels - centre[:, None]) / (np.sqrt(2) * stddev)
    half = 0.5 / (np.sqrt(2) * stddev)
    edges = scipy.special.erf(offset + half) - scipy.special.erf(offset - half)
    return np.sqrt(np.pi / 2) * stddev * edges

  image = np.zeros((wide, wide))
  spots = profile(rows, y)[:, :, None] * profile(columns, x)[:, None, :]
  np.add.at(
    image,
    (rows[:, :, None], columns[:, None, :]),
    light[:, None, None] * spots,
  )
  return image[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
