"""What is wrong with a picture, from the picture and what came with it.

In this order, since each hides the next: missing pixels, missing colour, coarse
JPEG steps, noise, blur. JPEG's steps are read from the file. Noise is measured
on flat ground (`data.noise_level`). Blur is seen in the steepest edges: halving
a picture leaves the step between neighbours across a sharp edge as it is, and
doubles that across a blurred one. So with q the 99.5th percentile of absolute
differences of neighbours in one direction,

  sharpness = min over directions of q(picture) / q(halved picture)

is near 1 for a sharp picture and 0.5 for a blurred one. Sharp photographs had
0.66 to 1.2, blurred ones 0.5 to 0.62 in nine of ten cases.
"""

import dataclasses
from typing import Any

import numpy as np

from internal_diffusion.applications.restoration.options import Task
from internal_diffusion.data.noise_level import NoiseEstimate, estimate_noise

_LEAST_NOISE = 3.0  # Grey levels of 255; clean texture may look like 2.
_SURE_NOISE = 7.0  # The same where the picture is textured everywhere.
_LEAST_FLAT = 0.01  # Part of the patches; below, all is texture.
_LEAST_QUALITY = 88  # JPEG of this quality shows no blocks.
_LEAST_SHARPNESS = 0.62
_PERCENTILE = 99.5
# Steps of luma at quality 50: ITU-T T.81, table K.1.
_STEPS_50 = np.array(
  [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
  ]
)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
  """What was found, and the task that follows.

  Attributes:
    task: The task.
    reasons: What was found, as parts of a sentence.
    noise: The noise, or None if it was not looked at.
    sharpness: Near 1 for sharp edges and 0.5 for blurred ones, or None.
    quality: Quality of the JPEG file, 1 to 100, or None.
    missing: True where pixels are missing, [H, W], or None.
  """

  task: Task
  reasons: tuple[str, ...]
  noise: NoiseEstimate | None = None
  sharpness: float | None = None
  quality: int | None = None
  missing: np.ndarray | None = None

  @property
  def sigma(self) -> float | None:
    """Noise in grey levels of 255, or None if it was not looked at."""
    return None if self.noise is None else self.noise.grey_levels

  @property
  def message(self) -> str:
    """One sentence: what was found and what will be done."""
    found = ' and '.join(self.reasons)
    return f'Found {found}; the task is {self.task}.'


def inspect(
  image: np.ndarray,
  *,
  mask: np.ndarray | None = None,
  scribbles: np.ndarray | None = None,
  reference: np.ndarray | None = None,
  jpeg: Any = None,
) -> Diagnosis:
  """Looks at a picture and chooses its task.

  Args:
    image: Grey or colour in [-1, 1] or with noise beyond, [H, W, C]; NaN where
      a pixel is missing.
    mask: True where a pixel is missing, [H, W] bool.
    scribbles: Marks of colour.
    reference: Colour picture of the same scene.
    jpeg: Cells of the JPEG file that the picture was read from, with
      `planes[0].steps`, [8, 8]; None if it is from another file.

  Returns:
    The diagnosis.

  Raises:
    ValueError: If the picture is too small, or of one colour, so that there is
      nothing to restore.
  """
  image = np.asarray(image)
  missing = np.isnan(image).any(axis=-1)
  if mask is not None:
    missing = missing | np.asarray(mask, bool)
  if missing.any():
    percent = 100 * missing.mean()
    reason = f'{percent:.2g}% of the pixels missing'
    return Diagnosis(Task.INPAINT, (reason,), missing=missing)
  if scribbles is not None or reference is not None:
    given = 'scribbles' if scribbles is not None else 'a reference'
    return Diagnosis(Task.COLORIZE, (f'colour given by {given}',))
  quality = None if jpeg is None else jpeg_quality(jpeg.planes[0].steps)
  if quality is not None and quality < _LEAST_QUALITY:
    reason = f'JPEG compression of about quality {quality}'
    return Diagnosis(Task.JPEG, (reason,), quality=quality)
  return _noise_or_blur(image, quality)


def jpeg_quality(steps: np.ndarray) -> int:
  """The quality, 1 to 100, whose standard table is nearest to given steps.

  Args:
    steps: Quantisation steps of luma, [8, 8].
  """
  steps = np.asarray(steps)
  # Steps end at 255, so the largest say little; the first is always counted.
  counted = steps < 255
  counted[0, 0] = True
  percent = 100 * float(np.mean(steps[counted] / _STEPS_50[counted]))
  # libjpeg scales the table by 5000 / q below 50 and by 200 - 2 q above.
  quality = 5000 / percent if percent > 100 else (200 - percent) / 2
  return int(np.clip(round(quality), 1, 100))


def sharpness(image: np.ndarray) -> float:
  """Steepness of the steepest edges of an image [H, W, C]: see the module."""
  grey = np.asarray(image, np.float64).mean(axis=-1)
  height, width = (side // 2 * 2 for side in grey.shape)
  blocks = grey[:height, :width].reshape(height // 2, 2, width // 2, 2)
  pairs = zip(_steps(grey), _steps(blocks.mean(axis=(1, 3))), strict=True)
  return min(fine / max(coarse, 1e-9) for fine, coarse in pairs)


def _steps(grey: np.ndarray) -> list[float]:
  """Large differences of neighbours in four directions of a picture [H, W]."""
  differences = (
    grey[:, 1:] - grey[:, :-1],
    grey[1:] - grey[:-1],
    grey[1:, 1:] - grey[:-1, :-1],
    grey[1:, :-1] - grey[:-1, 1:],
  )
  return [float(np.percentile(abs(d), _PERCENTILE)) for d in differences]


def _noise_or_blur(image: np.ndarray, quality: int | None) -> Diagnosis:
  """Denoise or deblur, whichever the picture needs more."""
  noise, sharp = estimate_noise(image), sharpness(image)
  least = _LEAST_NOISE if noise.flat >= _LEAST_FLAT else _SURE_NOISE
  level = f'noise of {noise.grey_levels:.2g} grey levels'
  if noise.is_signal_dependent:
    level += ', more where it is bright'
  if noise.correlation.axis is not None:
    axis = ('columns', 'rows')[noise.correlation.axis]
    level += f', correlated along the {axis}'
  if noise.grey_levels >= least:
    task, reasons = Task.DENOISE, [level]
  elif sharp < _LEAST_SHARPNESS:
    task, reasons = Task.DEBLUR, [f'blurred edges (sharpness {sharp:.2f})']
    reasons.append(f'little noise ({noise.grey_levels:.2g} grey levels)')
  else:
    task, reasons = Task.DENOISE, [f'no damage but {level}']
  return Diagnosis(task, tuple(reasons), noise, sharp, quality)
