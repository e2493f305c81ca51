"""Pyramids of frames: luminance to match, colour to place edges."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion.applications.flow.options import FlowOptions
from internal_diffusion.data import image_io, warp
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.pyramid import build_pyramid

Array = jax.Array
_SCALE_FACTOR = 0.5


class FramePyramid(NamedTuple):
  """Pyramid of a smoothed frame, finest level first.

  Attributes:
    grey: Luminance, which displacements are estimated from, [h, w] each.
    colour: Luminance and colour differences, whose edges flows may have, [h, w,
      C] each.
  """

  grey: list[Array]
  colour: list[Array]


def make_frame_pyramid(image: np.ndarray, options: FlowOptions) -> FramePyramid:
  """The pyramid of a frame [H, W, C] in [-1, 1].

  Raises:
    ValueError: If the frame is smaller than `options.min_side`.
  """
  levels = build_pyramid(
    jnp.asarray(_smooth(image, options)),
    scale_factor=_SCALE_FACTOR,
    min_side=options.min_side,
  )
  planes = [to_planes(np.asarray(level)) for level in levels]
  return FramePyramid(
    [jnp.asarray(plane[0]) for plane in planes],
    [jnp.asarray(np.moveaxis(plane, 0, -1)) for plane in planes],
  )


def smooth_grey(image: np.ndarray, options: FlowOptions) -> Array:
  """Smoothed luminance [H, W] of a frame [H, W, C] in [-1, 1].

  It is the finest level of the frame's pyramid; see `options.smoothing`.
  """
  return jnp.asarray(to_planes(_smooth(image, options))[0])


@jax.jit
def warp_plane(plane: Array, flow: Array) -> Array:
  """A plane [H, W] warped along a flow [H, W, 2], [H, W]; see `warp.warp`."""
  return warp.warp(plane[..., None], flow)[0][..., 0]


def _smooth(image: np.ndarray, options: FlowOptions) -> np.ndarray:
  stddevs = (options.smoothing, options.smoothing, 0)
  return scipy.ndimage.gaussian_filter(image_io.check_image(image), stddevs)
