"""A masked region moved, copied, mirrored or scaled within its picture.

The region is resampled at its new place, takes on the tones there
(`harmonize`), and its border is blended over one pixel. What it leaves is
filled (`fill`) first, so that the region may land partly on it.
"""

import dataclasses

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.editing import tones
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.applications.editing.options import Mirror
from internal_diffusion.applications.editing.remove import (
  default_grow,
  grow_mask,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.masks import check_mask

Array = jax.Array

_SOFT = 0.7  # Standard deviation of the blended border, in pixels.
_SCALES = (0.1, 10.0)


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a region goes.

  Attributes:
    move: Displacement (down, right) of its centre, in pixels.
    scale: Its new size over the old one, in [0.1, 10].
    mirror: Whether it is mirrored.
  """

  move: tuple[int, int] = (0, 0)
  scale: float = 1.0
  mirror: Mirror = Mirror.NONE

  def __post_init__(self) -> None:
    """Raises ValueError for a scale out of range."""
    arrays.check_in_range('scale', self.scale, *_SCALES)

  @property
  def changes_nothing(self) -> bool:
    """Whether the region stays where it is and as it is."""
    return self == Place()


def rearrange(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray,
  place: Place,
  *,
  copy: bool = False,
  num_samples: int = 4,
) -> Edited:
  """Puts a region of a picture at another place.

  Args:
    key: One key.
    image: [H, W, C] in [-1, 1].
    mask: True at the region, [H, W].
    place: Where the region goes.
    copy: Whether it stays where it was, too.
    num_samples: Number K of answers, which differ in what fills the place that
      the region leaves.

  Raises:
    ValueError: If an argument is not valid, the region stays as it is, or a
      part of it would lie outside of the picture.
  """
  arrays.check_positive_int('num_samples', num_samples)
  image = image_io.check_image(image)
  mask = check_mask(mask, image.shape[:2])
  if place.changes_nothing:
    raise ValueError(
      '`move`, `scale` or `mirror` must change the region, got none of them.'
    )
  check_inside(mask, place)
  region, weight = moved(image, mask, place)
  if copy:
    below = np.repeat(image[None], num_samples, axis=0)
    found = {}
  else:
    hole = grow_mask(mask, default_grow(mask.shape))
    filled = fill(key, image, hole, num_samples=num_samples)
    below, found = filled.samples, filled.found
  landed = weight > 0.5
  samples = np.stack(
    [_paste(sample, region, weight, landed, found) for sample in below]
  )
  found['landed'] = round(float(landed.mean()), 4)
  return from_samples(samples, found)


def check_inside(mask: np.ndarray, place: Place) -> None:
  """Raises ValueError if a part of the region would lie outside."""
  for axis, name in enumerate(('rows', 'columns')):
    used = np.flatnonzero(mask.any(axis=1 - axis))
    first, last = used[0], used[-1]
    centre, half = (first + last) / 2, (last - first) / 2 * place.scale
    least = int(np.ceil(half - centre))
    most = int(np.floor(mask.shape[axis] - 1 - half - centre))
    if least > most:
      raise ValueError(
        f'`scale` {place.scale:g} makes the region larger than the picture.'
      )
    if not least <= place.move[axis] <= most:
      raise ValueError(
        f'`move` {place.move[0]},{place.move[1]} takes a part of the region'
        f' outside of the picture: the {name} may move by {least} to {most}.'
      )


def moved(
  image: np.ndarray, mask: np.ndarray, place: Place
) -> tuple[np.ndarray, np.ndarray]:
  """The region at its new place, [H, W, C], and its weight, [H, W].

  Beside the region, its nearest pixels continue it, so that no background is
  resampled into its border.
  """
  used = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
  centre = np.array([(u[0] + u[-1]) / 2 for u in used])
  signs = np.array(
    [
      -1 if place.mirror is Mirror.VERTICAL else 1,
      -1 if place.mirror is Mirror.HORIZONTAL else 1,
    ]
  )
  matrix = np.diag(signs / place.scale)
  offset = centre - matrix @ (centre + np.array(place.move))
  nearest = ndimage.distance_transform_edt(
    ~mask, return_distances=False, return_indices=True
  )
  continued = image[*nearest]
  # Less detail than the pixels of a smaller region can hold.
  blur = max(0.0, 0.5 * (1 / place.scale - 1))

  def resample(values: np.ndarray, order: int) -> np.ndarray:
    smooth = ndimage.gaussian_filter(values, blur) if blur else values
    return ndimage.affine_transform(
      smooth, matrix, offset=offset, order=order, mode='constant'
    )

  order = 0 if place.scale == 1 else 3  # Whole pixels stay as they are.
  region = np.stack(
    [resample(channel, order) for channel in np.moveaxis(continued, -1, 0)], -1
  )
  soft = ndimage.gaussian_filter(mask.astype(np.float64), _SOFT)
  weight = resample(soft, 1).clip(0, 1)
  # Nothing changes beside the region.
  weight = np.where(weight > 0.5, weight, 0.0)
  weight = np.where(weight > 0.9, 1.0, weight)
  return region.clip(-1, 1).astype(np.float32), weight


def _paste(
  below: np.ndarray,
  region: np.ndarray,
  weight: np.ndarray,
  landed: np.ndarray,
  found: dict,
) -> np.ndarray:
  """A picture with the region in the tones of the place where it lands."""
  whole = np.where(landed[..., None], region, below)
  values = (whole.astype(np.float64) + 1) / 2
  fitted = tones.fit_tones(values, landed)
  found['tones'] = tones.describe(fitted.mode)
  mapped = 2 * tones.apply_tones((region + 1) / 2, fitted.mode) - 1
  share = weight[..., None]
  return (share * mapped.clip(-1, 1) + (1 - share) * below).astype(np.float32)
