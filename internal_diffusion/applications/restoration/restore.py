"""Restoration of a picture: checks, choice of the task, and the task itself.

Each task is a function of its own, in the file of its name.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from internal_diffusion.applications.restoration.auto import inspect
from internal_diffusion.applications.restoration.blind_kernel import (
  KernelEstimate,
  estimate_kernel,
)
from internal_diffusion.applications.restoration.colorize import colorize
from internal_diffusion.applications.restoration.deblur import deblur
from internal_diffusion.applications.restoration.denoise import denoise
from internal_diffusion.applications.restoration.given import (
  Given,
  check_given,
  named_task,
)
from internal_diffusion.applications.restoration.inpaint import inpaint
from internal_diffusion.applications.restoration.jpeg import restore_jpeg
from internal_diffusion.applications.restoration.options import (
  RestoreOptions,
  Task,
)
from internal_diffusion.applications.restoration.restored import Restored
from internal_diffusion.applications.restoration.seen_noise import noise_of_seen
from internal_diffusion.data.jpeg import JpegCells, encode_cells
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array


@with_own_settings
def restore(
  key: Array,
  image: np.ndarray,
  options: RestoreOptions | None = None,
  *,
  mask: np.ndarray | None = None,
  kernel: np.ndarray | None = None,
  scribbles: np.ndarray | None = None,
  reference: np.ndarray | None = None,
  jpeg: JpegCells | None = None,
  progress: bool = False,
) -> Restored:
  """Restores a damaged picture from that picture alone.

  Args:
    key: One key.
    image: Damaged picture, [H, W, C] float32, C from 1 to 4: grey or colour,
      and alpha, which is passed through unchanged. Values are in [-1, 1];
      noise that nobody clipped may lie beyond. A pixel with NaN is missing.
    options: Task, noise level and number of samples; None for the defaults.
    mask: True where a pixel is missing, [H, W] bool; for the task inpaint.
    kernel: Blur kernel [k, l] with odd sides, turned as for a convolution; for
      the task deblur, which estimates it if it is None.
    scribbles: The picture with marks of colour on it, [H, W, 3], or the marks
      alone on a transparent layer, [H, W, 4]; for the task colorize.
    reference: Colour picture of the same scene, [h, w, 3]; for the task
      colorize.
    jpeg: Cells of the coefficients of the JPEG file that the picture was read
      from; None if it is from another file.
    progress: Whether to show a progress bar.

  Returns:
    The restored picture with its uncertainty. The alpha of its samples is that
    of the picture, and is certain.

  Raises:
    ValueError: If an argument is wrong, is for another task, or is missing.
  """
  given = check_given(
    image,
    mask=mask,
    kernel=kernel,
    scribbles=scribbles,
    reference=reference,
    jpeg=jpeg,
  )
  chosen = _choose(given, options or RestoreOptions())
  restored = _TASKS[chosen.options.task](key, given, chosen.options, progress)
  reasons = [*chosen.reasons, *restored.found.get('reasons', ())]
  found = {'task': str(chosen.options.task), **restored.found}
  found['reasons'] = reasons
  return _with_alpha(restored._replace(found=found), given.alpha)


class Choice(NamedTuple):
  """What will be done with a picture.

  Attributes:
    options: The options, with the task that was chosen.
    reasons: What was found in the picture, if it was looked at.
    message: One sentence of it; empty if the task was given.
  """

  options: RestoreOptions
  reasons: tuple[str, ...] = ()
  message: str = ''


def choose_task(
  image: np.ndarray, options: RestoreOptions, **given: Any
) -> Choice:
  """Chooses the task of `restore` without doing it.

  Args:
    image: Damaged picture, as `restore` takes it.
    options: Options; where the task is `auto`, it is chosen by what is given
      and by a look at the picture.
    **given: The further arguments of `restore`: mask, kernel and so on.

  Raises:
    ValueError: As `restore` does.
  """
  return _choose(check_given(image, **given), options)


def _choose(given: Given, options: RestoreOptions) -> Choice:
  task = named_task(given, options)
  if task is not Task.AUTO:
    return Choice(dataclasses.replace(options, task=task))
  found = inspect(given.image, jpeg=given.jpeg)
  return Choice(
    dataclasses.replace(options, task=found.task),
    found.reasons,
    found.message,
  )


def _denoise(
  key: Array, given: Given, options: RestoreOptions, progress: bool
) -> Restored:
  return denoise(
    key,
    given.image,
    sigma=options.sigma,
    num_samples=options.num_samples,
    progress=progress,
  )


def _deblur(
  key: Array, given: Given, options: RestoreOptions, progress: bool
) -> Restored:
  kernel = given.kernel
  found: dict[str, Any] = {}
  if kernel is None:
    third = min(given.image.shape[:2]) // 3
    largest = min(options.kernel_size, third - 1 + third % 2)
    estimate = estimate_kernel(given.image, max_size=largest)
    kernel = estimate.kernel
    found = {
      'kernel': kernel,
      'kernel_agreement': estimate.agreement,
      'kernel_likely_failed': estimate.likely_failed,
      'reasons': [_describe(estimate)],
    }
  restored = deblur(
    key,
    given.image,
    kernel,
    sigma=options.sigma,
    num_samples=options.num_samples,
    progress=progress,
  )
  reasons = [*found.get('reasons', ()), *restored.found.get('reasons', ())]
  both = {**restored.found, **found, 'reasons': reasons}
  return restored._replace(found=both)


def _describe(estimate: KernelEstimate) -> str:
  height, width = estimate.kernel.shape
  text = f'the kernel of {height}x{width} pixels is estimated'
  if estimate.likely_failed:
    text += ', but candidates differ: do not rely on it'
  return text


def _restore_jpeg(
  key: Array, given: Given, options: RestoreOptions, progress: bool
) -> Restored:
  cells = given.jpeg
  if options.quality is not None:
    cells = encode_cells(given.image, quality=options.quality)
  assert cells is not None  # `named_task` has checked it.
  return restore_jpeg(
    key,
    given.image,
    cells,
    num_samples=options.num_samples,
    progress=progress,
  )


def _inpaint(
  key: Array, given: Given, options: RestoreOptions, progress: bool
) -> Restored:
  assert given.mask is not None  # `named_task` has checked it.
  sigma, reasons = options.sigma, []
  if sigma is None:
    sigma = noise_of_seen(given.image, given.mask)
    if sigma:
      text = f'the noise has a standard deviation of {sigma} grey levels'
      reasons = [f'{text}; seen pixels are denoised too']
  restored = inpaint(
    key,
    given.image,
    given.mask,
    sigma=sigma,
    num_samples=options.num_samples,
    progress=progress,
  )
  return restored._replace(found={**restored.found, 'reasons': reasons})


def _colorize(
  key: Array, given: Given, options: RestoreOptions, progress: bool
) -> Restored:
  return colorize(
    key,
    given.image,
    scribbles=given.scribbles,
    reference=given.reference,
    num_samples=options.num_samples,
    progress=progress,
  )


_TASKS = {
  Task.DENOISE: _denoise,
  Task.DEBLUR: _deblur,
  Task.JPEG: _restore_jpeg,
  Task.INPAINT: _inpaint,
  Task.COLORIZE: _colorize,
}


def _with_alpha(restored: Restored, alpha: np.ndarray | None) -> Restored:
  """The same with the alpha of the picture, [H, W, 1], as last channel."""
  if alpha is None:
    return restored

  def joined(values: np.ndarray, last: np.ndarray = alpha) -> np.ndarray:
    shape = (*values.shape[:-1], 1)
    return np.concatenate([values, np.broadcast_to(last, shape)], axis=-1)

  return Restored(
    mean=joined(restored.mean),
    std=joined(restored.std, np.zeros_like(alpha)),
    low=joined(restored.low),
    high=joined(restored.high),
    samples=joined(restored.samples),
    found=restored.found,
  )
