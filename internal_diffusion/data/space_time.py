"""Downscaling of clips in space and time: frames by `Downscaling`, then time.

The frames of both clips cover the same time, as the pixels of a smaller image
cover the same area as those of the larger one.
"""

from typing import Self

import flax.struct
import jax
import numpy as np

from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.data.resampling import (
  Border,
  apply_in_time,
  cubic_weights,
  resampling_matrix,
)
from internal_diffusion.types import static

Array = jax.Array
ClipSize = tuple[int, int, int]


@flax.struct.dataclass
class SpaceTimeDownscaling:
  """Downscaling of clips [..., T, H, W, C], and interpolation back.

  Attributes:
    space: Downscaling of each frame.
    times: Matrix of the frames, [t, T].
    up_times: Interpolation of the frames, [T, t].
    border: What clips are before their first frame and after their last.
  """

  space: Downscaling
  times: Array
  up_times: Array
  border: Border = static(default=Border.REPLICATE)

  @property
  def output_size(self) -> ClipSize:
    """Length, height and width of low clips."""
    return self.times.shape[0], *self.space.output_size

  def apply(self, clip: Array) -> Array:
    """The low clip [..., t, h, w, C] of a high one, [..., T, H, W, C]."""
    return apply_in_time(self.space.apply(clip), self.times)

  def interpolate(self, observation: Array) -> Array:
    """Cubic interpolation [..., T, H, W, C] of a low clip."""
    return self.space.interpolate(apply_in_time(observation, self.up_times))

  def at_size(self, size: ClipSize) -> Self:
    """The downscaling of clips of another size to the same low clip.

    A clip smaller than the low one is its own observation.
    """
    low = np.minimum(self.output_size, size)
    return self.create(
      (int(low[0]), int(low[1]), int(low[2])),
      size,
      border=self.space.border,
      time_border=self.border,
    )

  @classmethod
  def create(
    cls,
    low_size: ClipSize,
    high_size: ClipSize,
    *,
    border: Border = Border.REPLICATE,
    time_border: Border = Border.REPLICATE,
  ) -> Self:
    """The downscaling between two sizes (length, height, width).

    Raises:
      ValueError: If the high size is smaller.
    """
    low, high = low_size[0], high_size[0]
    if high < low:
      raise ValueError(
        f'`high_size` must be at least `low_size` {low_size}, got {high_size}.'
      )
    positions = (np.arange(high) + 0.5) * low / high - 0.5
    return cls(
      space=make_downscaling(low_size[1:], high_size[1:], border=border),
      times=jax.device_put(resampling_matrix(low, high, border=time_border)),
      up_times=jax.device_put(
        cubic_weights(positions, low, border=time_border)
      ),
      border=time_border,
    )
