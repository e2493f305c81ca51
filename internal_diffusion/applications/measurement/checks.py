"""Checks of the frames of a measurement."""

import numpy as np

from internal_diffusion.data import image_io
from internal_diffusion.data.colour_planes import to_planes

_MIN_SIDE = 32
_SATURATED = 0.5  # Part of saturated pixels that frames may have.
_FLAT = 1e-4  # Standard deviation that is no picture.


def check_pair(
  first: np.ndarray, second: np.ndarray, ignored: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
  """Luminance of two frames [H, W, C], [H, W] each.

  Raises:
    ValueError: If frames differ in size, are too small, constant or saturated,
      or the mask has another size or leaves nothing.
  """
  if np.shape(first) != np.shape(second):
    raise ValueError(
      '`first` and `second` must have one size, got shapes'
      f' {np.shape(first)} and {np.shape(second)}.'
    )
  planes = tuple(
    to_planes(image_io.check_image(frame, name=name))[0].astype(np.float64)
    for name, frame in (('first', first), ('second', second))
  )
  size = planes[0].shape
  if min(size) < _MIN_SIDE:
    raise ValueError(
      f'`first` must have at least {_MIN_SIDE} pixels a side, got {size}.'
    )
  kept = np.ones(size, bool)
  if ignored is not None:
    if np.shape(ignored) != size:
      raise ValueError(
        f'`ignored` must have the size {size} of the frames, got'
        f' {np.shape(ignored)}.'
      )
    kept = ~np.asarray(ignored, bool)
    if not kept.any():
      raise ValueError('`ignored` must leave pixels to measure, got none.')
  for name, plane in zip(('first', 'second'), planes, strict=True):
    if plane[kept].std() < _FLAT:
      raise ValueError(f'`{name}` must show something, got a constant frame.')
    saturated = float(np.mean(plane[kept] >= 1 - 1e-3))
    if saturated > _SATURATED:
      raise ValueError(
        f'`{name}` must not be saturated, got {saturated:.0%} of its pixels at'
        ' the highest value.'
      )
  return planes[0], planes[1]
