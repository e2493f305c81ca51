"""One edit of one picture, by its mode; transparency is kept."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.extend import extend
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.applications.editing.harmonize import (
  find_object,
  harmonize,
)
from internal_diffusion.applications.editing.options import (
  NEEDS_GUIDE,
  NEEDS_MASK,
  EditOptions,
  Mode,
)
from internal_diffusion.applications.editing.paint import paint
from internal_diffusion.applications.editing.rearrange import Place, rearrange
from internal_diffusion.applications.editing.reference import reference
from internal_diffusion.applications.editing.remove import remove
from internal_diffusion.applications.editing.vary import interpolate, vary
from internal_diffusion.applications.images.inference import check_size
from internal_diffusion.data import image_io

Array = jax.Array


def edit(
  key: Array,
  image: np.ndarray,
  options: EditOptions,
  *,
  mask: np.ndarray | None = None,
  guide: np.ndarray | None = None,
) -> Edited:
  """Edits a picture with its own patches.

  Args:
    key: One key.
    image: Grey or RGB with or without alpha, [H, W, 1 to 4] in [-1, 1].
    options: What is done.
    mask: True at what changes, [H, W]; for harmonize also its share in each
      pixel, in [0, 1]. None is what is transparent, for fill and remove; for
      harmonize, what differs from the guide, or what is opaque, which is then
      laid over the guide.
    guide: The painting of paint, the reference of reference, the picture
      without the object of harmonize, or the last picture of interpolate.

  Returns:
    The answers, with alpha where the image has it and it is not filled.

  Raises:
    ValueError: If something is missing, not used or not valid.
  """
  image = image_io.check_image(image, with_alpha=True)
  colours, alpha = split_alpha(image)
  if guide is not None:
    guide = _like(guide, colours.shape[-1], options.mode)
  if mask is None and alpha is not None:
    transparent = alpha[..., 0] <= 0
    if options.mode in (Mode.FILL, Mode.REMOVE):
      mask = transparent
    elif options.mode is Mode.HARMONIZE and guide is not None:
      colours = _lay_over(colours, alpha, guide)
      mask = (alpha[..., 0] + 1) / 2
      alpha = None
  check_given(options, mask=mask, guide=guide)
  edited = _run(key, colours, options, mask, guide)
  if alpha is not None:
    alpha = _new_alpha(alpha, mask, options)
  if alpha is None or (alpha == 1).all():
    return edited
  return _with_alpha(edited, alpha)


def check_given(
  options: EditOptions,
  *,
  mask: np.ndarray | None,
  guide: np.ndarray | None,
) -> None:
  """Raises ValueError if a mask or guide is missing, or is not used."""
  for name, value, needs in (
    ('mask', mask, NEEDS_MASK),
    ('guide', guide, NEEDS_GUIDE),
  ):
    if value is None and needs.get(options.mode, False):
      raise ValueError(f'`{name}` is required by the mode {options.mode}.')
    if value is not None and options.mode not in needs:
      raise ValueError(
        f'`{name}` is for the modes {", ".join(needs)}; the mode is'
        f' {options.mode}.'
      )


def split_alpha(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
  """The colours [H, W, 1 or 3] and the alpha [H, W, 1] of an image, if any."""
  if image.shape[-1] in (1, 3):
    return image, None
  return image[..., :-1], image[..., -1:]


def _run(
  key: Array,
  image: np.ndarray,
  options: EditOptions,
  mask: Any,
  guide: Any,
) -> Edited:
  """The edit of a picture without alpha; what it needs was checked."""
  given: dict[str, Any] = {}
  for name in ('num_samples', 'strength', 'size', 'grow'):
    if getattr(options, name) is not None:
      given[name] = getattr(options, name)
  match options.mode:
    case Mode.FILL:
      return fill(key, image, mask, **given)
    case Mode.REMOVE:
      return remove(key, image, mask, **given)
    case Mode.EXTEND:
      given.pop('size', None)
      return extend(key, image, expansion(image, options), **given)
    case Mode.PAINT:
      return paint(key, image, guide, **given)
    case Mode.HARMONIZE:
      return _harmonize(key, image, mask, guide, given)
    case Mode.REFERENCE:
      return reference(key, image, guide, factor=options.factor, **given)
    case Mode.REARRANGE:
      place = Place(options.move, options.scale, options.mirror)
      return rearrange(key, image, mask, place, copy=options.copy, **given)
    case Mode.VARY:
      return vary(key, image, **given)
    case Mode.INTERPOLATE:
      return interpolate(key, image, guide=guide, **given)


def _harmonize(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray | None,
  guide: np.ndarray | None,
  given: Mapping[str, Any],
) -> Edited:
  if mask is None:
    mask = find_object(image, guide)
  return harmonize(key, image, mask=mask, **given)


def expansion(
  image: np.ndarray, options: EditOptions
) -> tuple[int, int, int, int]:
  """New pixels (top, right, bottom, left) of extend.

  Raises:
    ValueError: If `options.size` is smaller than the image, or beyond the
      memory.
  """
  if options.expand is not None:
    return options.expand
  assert options.size is not None
  down, right = (
    new - old for new, old in zip(options.size, image.shape[:2], strict=True)
  )
  if down < 0 or right < 0:
    raise ValueError(
      '`size` must be at least that of the image,'
      f' {image.shape[0]}x{image.shape[1]}, got'
      f' {options.size[0]}x{options.size[1]}.'
    )
  check_size(options.size, image.shape[2], patch_size=1)
  return down // 2, right - right // 2, down - down // 2, right // 2


def _like(guide: np.ndarray, num_channels: int, mode: Mode) -> np.ndarray:
  """A guide without alpha; a grey one of a colour picture is RGB."""
  guide = image_io.check_image(guide, name='guide', with_alpha=True)
  guide, alpha = split_alpha(guide)
  if alpha is not None:
    weight = (alpha + 1) / 2
    guide = weight * guide + (1 - weight)
  if num_channels == 3 and guide.shape[-1] == 1 and mode is not Mode.PAINT:
    guide = guide.repeat(3, axis=-1)
  return guide


def _lay_over(
  colours: np.ndarray, alpha: np.ndarray, guide: np.ndarray
) -> np.ndarray:
  """A picture with transparency over a background of its size."""
  if guide.shape != colours.shape:
    raise ValueError(
      f'`guide`, the background, must have the shape {colours.shape} of the'
      f' image without alpha, got {guide.shape}.'
    )
  weight = (alpha + 1) / 2
  return (weight * colours + (1 - weight) * guide).astype(np.float32)


def _new_alpha(
  alpha: np.ndarray, mask: np.ndarray | None, options: EditOptions
) -> np.ndarray | None:
  """Alpha of the answers, where they lie as the image does; new is opaque."""
  match options.mode:
    case Mode.PAINT | Mode.REFERENCE | Mode.VARY | Mode.INTERPOLATE:
      return None
    case Mode.EXTEND:
      top, right, bottom, left = expansion(alpha, options)
      around = ((top, bottom), (left, right), (0, 0))
      return np.pad(alpha, around, constant_values=1.0)
    case Mode.FILL | Mode.REMOVE:
      assert mask is not None
      return np.where(mask[..., None], 1, alpha)
  return alpha


def _with_alpha(edited: Edited, alpha: np.ndarray) -> Edited:
  """The answers with an alpha [H, W, 1]."""
  whole = np.broadcast_to(alpha, (*edited.samples.shape[:-1], 1))
  samples = np.concatenate([edited.samples, whole], axis=-1)
  return from_samples(samples, edited.found)._replace(traces=edited.traces)
