"""The field of a pair: the mode of its posterior, by Gauss-Newton steps.

Frames that are moved together by the field d (`frames`) differ by noise, by
content that only one of them shows, and by what is left of the displacement:

  second - first = -g . delta + noise,

with the gradient g of their average. The noise has Student's t distribution, so
that a lost particle hardly counts. A step minimises

  sum w (residual + g . delta)^2 / 2 + (lambda / 2) |roughness of d + delta|^2,

w = (nu + 1) / (nu s^2 + residual^2). The average is denoised by a Wiener filter
of its power spectrum: the gradient of noise would add nothing but noise.

lambda is the one that makes the roughness of the field, together with that of
its uncertainty, what the prior expects (evidence; MacKay 1992, Bayesian
interpolation, eq. 4.4), within the bounds of the window that a vector stands
for.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage

from internal_diffusion.applications.measurement import frames
from internal_diffusion.applications.measurement.smooth_field import SplineGrid

_BLURS = (1.0, 0.0)  # Standard deviations in pixels, one after another.
_STEPS = 6  # Bound on the steps of each.
_SMALL, _ROUGH = 3e-3, 0.03  # Mean steps in pixels that end the last, others.
_FIRST_WINDOW = 20.0  # Of the steps before the last blur, in pixels.
_FREEDOM = 4.0  # nu.
_SPECTRUM_STD = 6.0  # Of the average of power spectra, in waves.
_NEAR = 1.0  # Standard deviation of a residual's surroundings, in pixels.
_DERIVATIVE = np.array([1, -8, 0, 8, -1]) / 12
_NUM_PROBES = 2
_GOOD_ERROR = 0.05  # Standard deviation in pixels that needs no larger window.
_LARGEST = 2.5  # Bound on the factor of the largest window.
_NULL_SPACE = 6  # Motions of the second degree, which cost nothing.
_FLOOR = 0.3 / 127.5  # Noise of rounding to 8 bits, as a standard deviation.


class Residuals(NamedTuple):
  """What two frames tell about a field.

  Attributes:
    residual: Second frame minus first, moved together, [H, W].
    gradient: Gradient (x, y) of their average, [2, H, W].
    weight: w, 0 where not visible, [H, W].
    visible: Points that both frames show and that count, [H, W] booleans.
    average: Denoised average of both frames, [H, W].
  """

  residual: np.ndarray
  gradient: np.ndarray
  weight: np.ndarray
  visible: np.ndarray
  average: np.ndarray

  @property
  def precision(self) -> np.ndarray:
    """Precision (uu, uv, vv) of each pixel, [3, H, W]."""
    x, y = self.gradient
    return self.weight * np.stack([x * x, x * y, y * y])

  @property
  def force(self) -> np.ndarray:
    """Gradient of the log likelihood with respect to d, [2, H, W]."""
    return -self.weight * self.residual * self.gradient


@dataclasses.dataclass(frozen=True)
class Refined:
  """A field and its posterior.

  Attributes:
    grid: Grid of the coefficients.
    coefficients: The mode, [2, m, n].
    residuals: Residuals at the mode.
    penalty: lambda of u and of v, [2].
    expected_penalty: lambda without bounds, [2].
  """

  grid: SplineGrid
  coefficients: np.ndarray
  residuals: Residuals
  penalty: np.ndarray
  expected_penalty: np.ndarray

  @property
  def field(self) -> np.ndarray:
    """The field of the middle, [2, H, W]."""
    return self.grid.field(self.coefficients)

  @property
  def window(self) -> np.ndarray:
    """Sides of the windows that u and v stand for, in pixels, [2]."""
    level = level_of(self.residuals.precision)
    return self.grid.window(level, self.penalty)


def refine(
  rng: np.random.Generator,
  pair: frames.FramePair,
  grid: SplineGrid,
  start: np.ndarray,
  windows: np.ndarray,
  *,
  is_near: bool = False,
) -> Refined:
  """The field of the middle, from a start within about two pixels.

  Args:
    rng: Source of the probes that measure the field's uncertainty.
    pair: The frames.
    grid: Grid of the coefficients.
    start: Coefficients of the start, [2, m, n].
    windows: Smallest and largest window of u and v in pixels, [2, 2].
    is_near: Whether the start is within half a pixel, so that frames need no
      blur.
  """
  coefficients = start
  is_known = np.array_equal(*windows)
  for blur in _BLURS[-1:] if is_near else _BLURS:
    small = _SMALL if blur == _BLURS[-1] else _ROUGH
    splines = [
      scipy.ndimage.spline_filter(scipy.ndimage.gaussian_filter(frame, blur), 5)
      for frame in (pair.first, pair.second)
    ]
    for _ in range(_STEPS):
      found = compare(splines, pair, grid.field(coefficients))
      precision, level = found.precision, level_of(found.precision)
      if is_known:
        used = expected = grid.penalty(level, windows[0])
      elif blur != _BLURS[-1]:  # The scale of the noise is another.
        used = expected = grid.penalty(level, np.full(2, _FIRST_WINDOW))
      else:
        expected = _expected_penalty(rng, grid, coefficients, precision, used)
        low, high = grid.penalty(level, wider(windows, level))
        used = expected.clip(low, high)
      force = grid.gather(found.force)
      force -= used[:, None, None] * grid.roughness(coefficients)
      step = grid.solve(precision, used, force)
      coefficients = coefficients + step
      if np.abs(grid.field(step)).mean() < small:
        break
  final = compare(splines, pair, grid.field(coefficients))
  return Refined(grid, coefficients, final, used, expected)


def compare(
  splines: list[np.ndarray], pair: frames.FramePair, field: np.ndarray
) -> Residuals:
  """Residuals of a field [2, H, W] of the middle."""
  moved = frames.move_splines(splines, pair, field)
  visible = moved.visible
  residual = np.where(visible, moved.second - moved.first, 0)
  average = denoise((moved.first + moved.second) / 2, residual)
  gradient = np.stack(
    [
      scipy.ndimage.correlate1d(average, _DERIVATIVE, axis=axis)
      for axis in (1, 0)
    ]
  )
  weight = _student_weights(residual, visible)
  return Residuals(residual, gradient, weight, visible, average)


def denoise(average: np.ndarray, residual: np.ndarray) -> np.ndarray:
  """Wiener filter of an average of two frames by their difference, [H, W] each.

  The average has a quarter of the power of the difference's noise.
  """
  return denoise_like(average, residual, average)


def denoise_like(
  average: np.ndarray, residual: np.ndarray, values: np.ndarray
) -> np.ndarray:
  """The filter of `denoise`, applied to other values [H, W]."""
  power, noise = (
    scipy.ndimage.gaussian_filter(
      scipy.fft.dctn(part, norm='ortho') ** 2, _SPECTRUM_STD
    )
    for part in (average, residual / 2)
  )
  gain = np.maximum(power - noise, 0) / np.maximum(power, 1e-12)
  return scipy.fft.idctn(
    gain * scipy.fft.dctn(values, norm='ortho'), norm='ortho'
  )


def _student_weights(residual: np.ndarray, visible: np.ndarray) -> np.ndarray:
  """Weights of Student's t whose scale is fitted to the residual, [H, W]."""
  if not visible.any():
    return np.zeros_like(residual)
  around = scipy.ndimage.gaussian_filter(residual**2, _NEAR)
  scale = np.median(around[visible]) + _FLOOR**2
  for _ in range(5):
    trust = (_FREEDOM + 1) / (_FREEDOM + around / scale)
    scale = np.mean((trust * around)[visible]) + _FLOOR**2
  return visible * (_FREEDOM + 1) / (_FREEDOM * scale + around)


def level_of(precision: np.ndarray) -> np.ndarray:
  """Mean precision of u and v, [2], from precisions [3, H, W]."""
  return np.maximum(precision[[0, 2]].mean(axis=(1, 2)), 1e-9)


def wider(windows: np.ndarray, level: np.ndarray) -> np.ndarray:
  """Bounds of windows [2, 2] for mean precisions [2]; poor frames need more."""
  smallest, largest = windows
  needed = 1 / (_GOOD_ERROR * np.sqrt(level))
  return np.stack([smallest, needed.clip(largest, _LARGEST * largest)])


def _expected_penalty(
  rng: np.random.Generator,
  grid: SplineGrid,
  coefficients: np.ndarray,
  precision: np.ndarray,
  penalty: np.ndarray,
) -> np.ndarray:
  """Lambda of the evidence, one step of its fixed point, [2]."""
  traces = np.zeros(2)
  for _ in range(_NUM_PROBES):
    probe = grid.sample(rng, precision, penalty)
    traces += np.sum(probe * grid.roughness(probe), axis=(1, 2)) / _NUM_PROBES
  num = coefficients[0].size - _NULL_SPACE
  determined = np.maximum(num - penalty * traces, 1)
  rough = np.sum(coefficients * grid.roughness(coefficients), axis=(1, 2))
  return determined / np.maximum(rough, 1e-9)
