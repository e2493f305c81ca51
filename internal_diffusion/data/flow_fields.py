"""Flow fields known exactly, and pairs of frames made with them.

A field is (u, v), [H, W, 2] float32, in pixels, u to the right and v down.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion import arrays
from internal_diffusion.data import warp
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_MAX_STEEPNESS = 0.9


class FramePair(NamedTuple):
  """Two frames and the flow from the first to the second.

  Attributes:
    first: First frame, [H, W, C].
    second: Second frame, [H, W, C].
    flow: (u, v), [H, W, 2].
    is_inside: Mask of the pixels that the flow leads to a point inside the
      second frame, [H, W] booleans.
  """

  first: Array
  second: Array
  flow: Array
  is_inside: Array


def translation(
  size: tuple[int, int], *, displacement: tuple[float, float]
) -> np.ndarray:
  """Constant flow (u, v) of size (H, W).

  Example:
    >>> translation((4, 6), displacement=(1.5, 0.0))[0, 0].tolist()
    [1.5, 0.0]
  """
  return np.tile(np.asarray(displacement, np.float32), (*size, 1))


def rotation(size: tuple[int, int], *, degrees: float) -> np.ndarray:
  """Clockwise rotation around the centre of an image of size (H, W)."""
  x, y = _centred_coordinates(size)
  cosine, sine = (
    math.cos(math.radians(degrees)),
    math.sin(math.radians(degrees)),
  )
  return _as_flow((cosine - 1) * x - sine * y, sine * x + (cosine - 1) * y)


def zoom(size: tuple[int, int], *, factor: float) -> np.ndarray:
  """Magnification about the centre of an image of size (H, W)."""
  arrays.check_in_range('factor', factor, 0, math.inf, open_low=True)
  x, y = _centred_coordinates(size)
  return _as_flow((factor - 1) * x, (factor - 1) * y)


def smooth_random(
  seed: int, size: tuple[int, int], *, amplitude: float, smoothness: float
) -> np.ndarray:
  """Random smooth flow: white noise, blurred by a Gaussian.

  Args:
    seed: Seed of the noise.
    size: Size (H, W).
    amplitude: Length of the longest vector, in pixels.
    smoothness: Standard deviation of the blur, in pixels. Above about 1.5 times
      the amplitude the field does not fold.

  Returns:
    (u, v), float32 [H, W, 2].
  """
  arrays.check_in_range('amplitude', amplitude, 0, math.inf)
  arrays.check_in_range('smoothness', smoothness, 0, math.inf, open_low=True)
  noise = np.random.default_rng(seed).standard_normal((2, *size))
  u, v = (scipy.ndimage.gaussian_filter(part, smoothness) for part in noise)
  scale = amplitude / np.hypot(u, v).max()
  return _as_flow(scale * u, scale * v)


@with_own_settings
def make_pair(image: Array, flow: Array, *, margin: int = 0) -> FramePair:
  """Two frames of one image with a given ground-truth flow.

  The first frame is the image. The second is the image sampled along the
  inverse flow by one cubic interpolation; the inverse has an error below 0.01
  pixels (`warp.invert_flow`).

  Args:
    image: The image, [H, W, C].
    flow: (u, v), [H, W, 2], of a steepness up to 0.9.
    margin: Pixels cropped from each side at the end. With at least the longest
      flow vector, pixels that enter the second frame come from the image; with
      fewer, they repeat its border.

  Returns:
    The frames, their flow and its mask, [H - 2 margin, W - 2 margin, ...].

  Raises:
    ValueError: If the sizes differ, the flow is too steep, or the margin leaves
      no pixel.
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
  """Moves the pixels of an image along a flow."""
  return warp.warp(image, warp.invert_flow(flow))[0]


def _centred_coordinates(
  size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
  """Coordinates x and y from the image's centre, [H, W] each."""
  height, width = size
  rows, columns = np.indices(size)
  return columns - (width - 1) / 2, rows - (height - 1) / 2


def _as_flow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
  return np.stack([u, v], axis=-1).astype(np.float32)
