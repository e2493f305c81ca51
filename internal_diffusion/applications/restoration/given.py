"""What is given for a restoration, checked before any work.

Each task has inputs of its own: a mask of missing pixels, a blur kernel,
scribbles or a reference of colour. What a task does not use is an error rather
than ignored, so that nobody believes it was used.
"""

import dataclasses

import numpy as np

from internal_diffusion.applications.restoration.options import (
  RestoreOptions,
  Task,
)
from internal_diffusion.data import blur_kernel, image_io, masks
from internal_diffusion.data.jpeg import JpegCells

_MIN_SIDE = 16  # Pixels; a prior of patches needs some.
_MAX_VALUE = 17.0  # Noise of one white stays below it; grey levels do not.
# The inputs that only one task uses.
_TASK_OF = {
  'mask': Task.INPAINT,
  'kernel': Task.DEBLUR,
  'scribbles': Task.COLORIZE,
  'reference': Task.COLORIZE,
  'quality': Task.JPEG,
}


@dataclasses.dataclass(frozen=True)
class Given:
  """A damaged picture and what is known of its damage, checked.

  Attributes:
    image: Grey or RGB, [H, W, 1 or 3] float32; [-1, 1] and noise beyond.
    alpha: Its transparency, [H, W, 1] in [-1, 1], or None.
    mask: True where a pixel is missing, [H, W] bool, or None; with the pixels
      that are NaN in the picture.
    kernel: Blur kernel of sum 1, [k, l] with odd sides, or None.
    scribbles: Picture with marks of colour, [H, W, C], or None.
    reference: Colour picture of the same scene, [h, w, 3], or None.
    jpeg: Cells that the coefficients of the JPEG file lie in, or None.
  """

  image: np.ndarray
  alpha: np.ndarray | None = None
  mask: np.ndarray | None = None
  kernel: np.ndarray | None = None
  scribbles: np.ndarray | None = None
  reference: np.ndarray | None = None
  jpeg: JpegCells | None = None


def check_given(
  image: np.ndarray,
  *,
  mask: np.ndarray | None = None,
  kernel: np.ndarray | None = None,
  scribbles: np.ndarray | None = None,
  reference: np.ndarray | None = None,
  jpeg: JpegCells | None = None,
) -> Given:
  """Checks each input by itself; the arguments are those of `restore`.

  Raises:
    ValueError: If an input is wrong; the message names it and its value.
  """
  filled, is_nan = _split_nan(image)
  pixels, alpha = _check_picture(filled)
  size = pixels.shape[:2]
  if mask is not None:
    mask = masks.check_mask(mask, size)
  if is_nan is not None:
    mask = masks.check_mask(is_nan if mask is None else is_nan | mask, size)
  if kernel is not None:
    kernel = blur_kernel.check_kernel(kernel)
    if kernel.shape[0] > size[0] or kernel.shape[1] > size[1]:
      raise ValueError(
        f'`kernel` must not be larger than the picture of {_by(size)}, got'
        f' {_by(kernel.shape)}.'
      )
  if scribbles is not None:
    scribbles = image_io.check_image(
      scribbles, name='scribbles', with_alpha=True
    )
    if scribbles.shape[:2] != size:
      raise ValueError(
        f'`scribbles` must have the size of the picture, {_by(size)}, got'
        f' {_by(scribbles.shape[:2])}.'
      )
  if reference is not None:
    reference = image_io.check_image(reference, name='reference')
    if reference.shape[-1] != 3:
      raise ValueError(
        f'`reference` must be a colour picture [h, w, 3], got shape'
        f' {reference.shape}.'
      )
  if jpeg is not None and jpeg.size != size:
    raise ValueError(
      f'`jpeg` must be of the picture of {_by(size)}, got {_by(jpeg.size)}.'
    )
  return Given(pixels, alpha, mask, kernel, scribbles, reference, jpeg)


def named_task(given: Given, options: RestoreOptions) -> Task:
  """The task that is asked for, or that the inputs tell; `auto` if neither.

  A noise level alone tells of noise.

  Raises:
    ValueError: If an input is missing, or is for another task.
  """
  inputs = {**vars(given), 'quality': options.quality}
  present = [name for name in _TASK_OF if inputs[name] is not None]
  task = options.task
  if task is Task.AUTO and present:
    task = _TASK_OF[present[0]]
  elif task is Task.AUTO and options.sigma is not None:
    task = Task.DENOISE
  for name in present:
    if _TASK_OF[name] is not task:
      raise ValueError(
        f'`{name}` is for the task {_TASK_OF[name]}; the task is {task}.'
        + (' NaN in the picture is a mask too.' if name == 'mask' else '')
      )
  if task is Task.INPAINT and given.mask is None:
    raise ValueError('`mask` is required by the task inpaint.')
  if task is Task.COLORIZE and len(present) != 1:
    raise ValueError(
      'The task colorize needs one of `scribbles` and `reference`, got'
      f' {"both" if present else "neither"}.'
    )
  if task is Task.JPEG and given.jpeg is None and options.quality is None:
    raise ValueError(
      '`quality` must be given for the task jpeg, as the picture is no JPEG'
      ' file.'
    )
  _check_noise(task, given, options)
  return task


def _check_noise(task: Task, given: Given, options: RestoreOptions) -> None:
  """Raises ValueError if the noise is asked for and cannot be estimated."""
  needs_noise = task in (Task.AUTO, Task.DENOISE, Task.DEBLUR)
  if needs_noise and options.sigma is None and not np.ptp(given.image):
    raise ValueError(
      '`sigma` must be given: the noise of a picture of one colour is not'
      ' known.'
    )


def _split_nan(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
  """The picture with 0 for NaN, and where a colour was NaN, [H, W] or None.

  NaN in the alpha channel stays and is refused later.
  """
  image = np.asarray(image)
  if image.dtype.kind != 'f' or image.ndim != 3:
    return image, None
  num_colours = image.shape[-1] - (image.shape[-1] in (2, 4))
  is_nan = np.isnan(image[..., :num_colours])
  if not is_nan.any():
    return image, None
  if is_nan.any(axis=-1).all():
    raise ValueError('`image` must have pixels that are not missing (NaN).')
  filled = image.copy()
  filled[..., :num_colours][is_nan] = 0
  return filled, is_nan.any(axis=-1)


def _check_picture(
  image: np.ndarray,
) -> tuple[np.ndarray, np.ndarray | None]:
  """Grey or colour, and alpha, of a picture that may have unclipped noise."""
  pixels = np.asarray(image)
  # Noise may lie outside of [-1, 1], so `check_image` sees clipped values.
  with np.errstate(invalid='ignore'):
    in_range = pixels.clip(-1, 1) if pixels.dtype.kind == 'f' else pixels
  image_io.check_image(in_range, with_alpha=True)
  largest = float(abs(pixels).max())
  if not largest < _MAX_VALUE:
    raise ValueError(
      f'`image` must have values about [-1, 1], got {largest:g}; from'
      ' [0, 255], divide by 127.5 and subtract 1.'
    )
  if min(pixels.shape[:2]) < _MIN_SIDE:
    raise ValueError(
      f'`image` must have at least {_MIN_SIDE}x{_MIN_SIDE} pixels, got'
      f' {_by(pixels.shape[:2])}.'
    )
  pixels = pixels.astype(np.float32)
  if pixels.shape[-1] in (1, 3):
    return pixels, None
  alpha = image_io.check_image(pixels[..., -1:], name='alpha')
  return pixels[..., :-1], alpha


def _by(size: tuple[int, ...]) -> str:
  return 'x'.join(map(str, size))
