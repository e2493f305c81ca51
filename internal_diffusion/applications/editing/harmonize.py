"""An object that was pasted into a picture takes on the picture's tones.

The tones are mapped by few parameters (`tones`), chosen by what the picture's
own pixels say about the pixels on both sides of the object's border. So the
object keeps its shape and its texture, and the picture around it stays as it
is, bit for bit. Where the border says little, the answers differ. A pixel of a
soft border is a u + (1 - a) v, with a the share of the object in it: it changes
by a (T(u) - u). There u is a mean of the nearest pixel that is the object's
alone and of what the nearest v leaves for it, the latter with the weight a.
"""

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.editing import tones
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.masks import check_mask
from internal_diffusion.data.operators import Size

Array = jax.Array

_SAME = 2.5 / 127.5  # Largest difference of pixels that count as equal.


def harmonize(
  key: Array,
  image: np.ndarray,
  *,
  mask: np.ndarray | None = None,
  background: np.ndarray | None = None,
  strength: float = 1.0,
  num_samples: int = 4,
) -> Edited:
  """Gives a pasted object the tones of the picture around it.

  Args:
    key: One key.
    image: Picture with the object, [H, W, C] in [-1, 1].
    mask: True at the object, or its share in each pixel in [0, 1], [H, W]; its
      border must be that of the object. A soft shadow outside of it stays.
      None finds it by the `background`.
    background: The picture without the object, [H, W, C].
    strength: Fraction of the change of tones that is made, in [0, 1].
    num_samples: Number K of answers: the first is the most probable one, the
      others are drawn near it, the better they fit the likelier.

  Returns:
    The answers; `found` has the parameters of each and the number of lines
    across the border that they were estimated from.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  arrays.check_in_range('strength', strength, 0, 1)
  image = image_io.check_image(image)
  if mask is None:
    mask = find_object(image, background)
  share = _check_share(mask, image.shape[:2])
  values = (image.astype(np.float64) + 1) / 2
  found = tones.fit_tones(values, share)
  rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
  others = tones.draw_tones(rng, found, num_samples - 1)
  parameters = strength * np.concatenate([found.mode[None], others])
  samples = np.repeat(image[None], num_samples, axis=0)
  solid = tones.object_pixels(share)
  touched = (share > 0) & ~solid
  part = share[touched][:, None]
  mixed = _unmixed(values, share)[touched]
  for sample, own in zip(samples, parameters, strict=True):
    sample[touched] += 2 * part * (tones.apply_tones(mixed, own) - mixed)
    sample[solid] = 2 * tones.apply_tones(values[solid], own) - 1
  report = {
    'object': round(float(share.mean()), 4),
    'lines_across_border': found.num_lines,
    'tones': [tones.describe(own) for own in parameters],
  }
  return from_samples(samples, report)


def _check_share(mask: np.ndarray, size: Size) -> np.ndarray:
  """The share of the object in each pixel, [H, W] float64.

  Raises:
    ValueError: If it has another size or range, or no pixel is the object's
      alone, or none the picture's.
  """
  share = np.asarray(mask)
  if share.dtype == bool:
    return check_mask(share, size).astype(np.float64)
  if share.shape != size or not ((share >= 0) & (share <= 1)).all():
    raise ValueError(
      f'`mask` must be bool or in [0, 1] and {list(size)}, got'
      f' {list(share.shape)} in [{share.min():g}, {share.max():g}].'
    )
  if not tones.object_pixels(share).any() or not (share == 0).any():
    raise ValueError(
      '`mask` must be white at some pixels, the object, and black at others.'
    )
  return share.astype(np.float64)


def _unmixed(values: np.ndarray, share: np.ndarray) -> np.ndarray:
  """The object's own values in mixed pixels, [H, W, C]."""
  inner, outer = (
    values[*_nearest(kind)] for kind in (tones.object_pixels(share), share == 0)
  )
  part = share[..., None]
  # The share times what is left for the object.
  left = (values - (1 - part) * outer).clip(0, part)
  return left + (1 - part) * inner


def _nearest(kind: np.ndarray) -> np.ndarray:
  """Row and column of the pixel of a kind nearest to each pixel, [2, H, W]."""
  return ndimage.distance_transform_edt(
    ~kind, return_distances=False, return_indices=True
  )


def find_object(image: np.ndarray, background: np.ndarray | None) -> np.ndarray:
  """The mask [H, W] of what a picture has and its background has not.

  Raises:
    ValueError: If there is no background, it has another shape, or nothing or
      everything differs.
  """
  if background is None:
    raise ValueError(
      '`mask` is required, or a `guide`: the picture without the object.'
    )
  background = image_io.check_image(background, name='guide')
  if background.shape != image.shape:
    raise ValueError(
      f'`guide`, the picture without the object, must have the shape'
      f' {image.shape} of the image, got {background.shape}.'
    )
  differs = (abs(image - background) > _SAME).any(axis=-1)
  # Specks of compression, and places where both have the same colour.
  mask = ndimage.binary_fill_holes(ndimage.binary_opening(differs))
  if mask.all() or not mask.any():
    raise ValueError(
      f'`guide`, the picture without the object, differs from the image'
      f' {"everywhere" if mask.all() else "nowhere"}; give a `mask`.'
    )
  return mask
