"""Flows that are known exactly, and pairs of frames that they explain.

All are (u, v), [H, W, 2] float32, in pixels, u to the right and v down.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays
from internal_diffusion.data import warp

Array = jax.Array

_MAX_STEEPNESS = 0.9


class FramePair(NamedTuple):
  """Two frames and the flow between them.

  Attributes:
    first: The frame that the flow starts from, [H, W, C].
    second: The frame that it leads to, [H, W, C].
    flow: (u, v), [H, W, 2].
    is_inside: Which pixels of the first frame have their target within the
      second, [H, W] booleans.
  """

  first: Array
  second: Array
  flow: Array
  is_inside: Array


def translation(
  size: tuple[int, int], *, displacement: tuple[float, float]
) -> np.ndarray:
  """All pixels of a picture (H, W) moved by one `displacement` (u, v)."""
  return np.tile(np.asarray(displacement, np.float32), (*size, 1))


def rotation(size: tuple[int, int], *, degrees: float) -> np.ndarray:
  """A picture (H, W) turned around its middle, clockwise as one sees it."""
  x, y = _from_middle(size)
  cosine, sine = (
    math.cos(math.radians(degrees)),
    math.sin(math.radians(degrees)),
  )
  return _as_flow((cosine - 1) * x - sine * y, sine * x + (cosine - 1) * y)


def zoom(size: tuple[int, int], *, factor: float) -> np.ndarray:
  """A picture (H, W) enlarged from its middle; below 1 it shrinks."""
  arrays.check_in_range('factor', factor, 0, math.inf, open_low=True)
  x, y = _from_middle(size)
  return _as_flow((factor - 1) * x, (factor - 1) * y)


def smooth_random(
  seed: int, size: tuple[int, int], *, amplitude: float, smoothness: float
) -> np.ndarray:
  """Smoothed white noise as a flow.

  Args:
    seed: Of the noise.
    size: (H, W).
    amplitude: Length of the longest vector, in pixels.
    smoothness: Standard deviation of the smoothing, in pixels. From about
      1.5 times the amplitude on, the field does not fold.
  """
  arrays.check_in_range('amplitude', amplitude, 0, math.inf)
  arrays.check_in_range('smoothness', smoothness, 0, math.inf, open_low=True)
  noise = np.random.default_rng(seed).standard_normal((2, *size))
  u, v = (scipy.ndimage.gaussian_filter(part, smoothness) for part in noise)
  scale = amplitude / np.hypot(u, v).max()
  return _as_flow(scale * u, scale * v)


def make_pair(image: Array, flow: Array, *, margin: int = 0) -> FramePair:
  """Two frames of a picture between which a given flow is the truth.

  The first frame is the picture; the second is the picture looked up along the
  inverse of the flow, so it is interpolated once, by a cubic. The flow itself
  is exact. The second frame deviates by the error of the inverse, below 0.01
  pixels (see `warp.invert_flow`).

  Args:
    image: [H, W, C].
    flow: (u, v), [H, W, 2], of a steepness up to 0.9.
    margin: Pixels that are cut off all sides in the end. As many as the flow is
      long, and what enters the second frame is picture; without, it is the
      border drawn out.

  Returns:
    The frames, their flow and where it stays inside, [H - 2 margin, W - 2
    margin, ...].

  Raises:
    ValueError: If the sizes differ, the flow is too steep or nothing is left
      within the margin.
  """
  image, flow = jnp.asarray(image), jnp.asarray(flow)
  warp.check_flow('flow', flow)
  if not 0 <= 2 * margin < min(flow.shape[:2]):
    raise ValueError(
      f'`margin` must leave something of {flow.shape[:2]} pixels, got {margin}.'
    )
  steepness = float(warp.steepness(flow))
  if not steepness <= _MAX_STEEPNESS:
    raise ValueError(
      f'`flow` must have a steepness up to {_MAX_STEEPNESS}, got'
      f' {steepness:.3g}; smooth it or make it shorter.'
    )
  second = _move(image, flow)
  inner = slice(margin, -margin or None)
  first, second, flow = (x[inner, inner] for x in (image, second, flow))
  return FramePair(first, second, flow, warp.stays_inside(flow))


@jax.jit
def _move(image: Array, flow: Array) -> Array:
  """The picture after its pixels have followed the flow."""
  return warp.warp(image, warp.invert_flow(flow))[0]


def _from_middle(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
  """Coordinates x and y, [H, W] each, whose sum over the picture is 0."""
  height, width = size
  rows, columns = np.indices(size)
  return columns - (width - 1) / 2, rows - (height - 1) / 2


def _as_flow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
  return np.stack([u, v], axis=-1).astype(np.float32)
