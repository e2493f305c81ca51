"""Luminance and colour-difference planes of an image (ITU-R BT.601).

  Y = 0.299 R + 0.587 G + 0.114 B,  R - Y,  B - Y

Luminance holds the detail and decides the PSNR of super-resolution; the colour
differences are smooth. Further channels, such as alpha, are kept unchanged.
"""

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_PLANES = np.stack(
  [_LUMA, np.array([1, 0, 0]) - _LUMA, np.array([0, 0, 1]) - _LUMA]
)


def to_planes(image: np.ndarray) -> np.ndarray:
  """Converts an image [H, W, C] to planes [C, H, W], luminance first."""
  image = np.asarray(image, np.float32)
  if image.shape[-1] < 3:
    return np.moveaxis(image, -1, 0)
  colour = image[..., :3] @ _TO_PLANES.T.astype(np.float32)
  return np.moveaxis(np.concatenate([colour, image[..., 3:]], -1), -1, 0)


def from_planes(planes: np.ndarray) -> np.ndarray:
  """Converts planes [C, H, W] to an image [H, W, C]; inverts `to_planes`."""
  image = np.moveaxis(np.asarray(planes, np.float32), 0, -1)
  if image.shape[-1] < 3:
    return image
  colour = image[..., :3] @ np.linalg.inv(_TO_PLANES).T.astype(np.float32)
  return np.concatenate([colour, image[..., 3:]], -1)
