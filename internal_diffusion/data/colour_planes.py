"""Images as planes: luminance, which holds the detail, and colour differences.

  Y = 0.299 R + 0.587 G + 0.114 B,  then R - Y and B - Y

(ITU-R BT.601). What the eye and the PSNR of super-resolution look at is Y; the
other planes are smooth. Further channels, such as alpha, are planes as they
are.
"""

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_PLANES = np.stack(
  [_LUMA, np.array([1, 0, 0]) - _LUMA, np.array([0, 0, 1]) - _LUMA]
)


def to_planes(image: np.ndarray) -> np.ndarray:
  """Planes [C, H, W] of an image [H, W, C], the first one its luminance."""
  image = np.asarray(image, np.float32)
  if image.shape[-1] < 3:
    return np.moveaxis(image, -1, 0)
  colour = image[..., :3] @ _TO_PLANES.T.astype(np.float32)
  return np.moveaxis(np.concatenate([colour, image[..., 3:]], -1), -1, 0)


def from_planes(planes: np.ndarray) -> np.ndarray:
  """The image [H, W, C] of planes [C, H, W]."""
  image = np.moveaxis(np.asarray(planes, np.float32), 0, -1)
  if image.shape[-1] < 3:
    return image
  colour = image[..., :3] @ np.linalg.inv(_TO_PLANES).T.astype(np.float32)
  return np.concatenate([colour, image[..., 3:]], -1)
