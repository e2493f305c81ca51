"""Pairs with known fields, made of a measured pair.

The content of both frames, their denoised average a, is moved along a known
field t. The residual r of the pair comes back with random signs e of patches of
a few pixels (the wild bootstrap; Wu 1986, Jackknife, bootstrap and other
resampling methods), and the noise n of the average is a random image of the
power spectrum of r / 2:

  first = a + n - e r / 2,  second = a + n + e r / 2,

moved to m - t(m) / 2 and m + t(m) / 2. So the difference and the average of the
frames have as much noise as in the pair, and a particle that only one frame
shows is again in one frame only.

The known field is a draw from the posterior of the measured one, with the
smoothness that was found. Its errors are those that the pair's field may have.
"""

import numpy as np
import scipy.fft
import scipy.ndimage

from internal_diffusion.applications.measurement import frames
from internal_diffusion.applications.measurement.refine import Refined
from internal_diffusion.applications.measurement.smooth_field import (
  apply_precision,
)

_AROUND = 24.0  # Standard deviation of the surroundings, in pixels.
_AMPLITUDE = 0.6  # Flows have less of the shortest waves than the prior.
_LOST = 1.08  # Noise that interpolation and the fit take from the residual.
_PATCH = 2.5  # Standard deviation of the noise whose signs are e, in pixels.


def random_truth(rng: np.random.Generator, refined: Refined) -> np.ndarray:
  """A random known field, [2, H, W]."""
  grid, precision = refined.grid, refined.residuals.precision
  penalty = refined.expected_penalty
  right = grid.gather(apply_precision(precision, refined.field))
  smooth = grid.solve(precision, penalty, right, refined.coefficients)
  # A field may be smoother than its window.
  smoother = (penalty > refined.penalty)[:, None, None]
  centre = np.where(smoother, smooth, refined.coefficients)
  deviation = grid.field(grid.sample(rng, precision, penalty))
  return grid.field(centre) + _local_roughness(refined) * deviation


def _local_roughness(refined: Refined) -> np.ndarray:
  """Roughness of a field around each pixel over its mean, [2, H, W]."""
  field, spacing = refined.field, refined.grid.spacing
  coarse = field[:, ::spacing, ::spacing]
  squares = np.zeros_like(coarse)
  for axis in (1, 2):
    kernel = np.array([-1.0, 3, -3, 1])
    change = scipy.ndimage.correlate1d(coarse, kernel, axis=axis)
    squares += scipy.ndimage.gaussian_filter(
      change**2, (0, _AROUND / spacing, _AROUND / spacing)
    )
  mean = squares.mean(axis=(1, 2), keepdims=True) + 1e-12
  wide = (squares / mean).repeat(spacing, 1).repeat(spacing, 2)
  return _AMPLITUDE * np.sqrt(wide[:, : field.shape[1], : field.shape[2]])


def pseudo_pair(
  rng: np.random.Generator,
  refined: Refined,
  field: np.ndarray,
  *,
  is_rigid: bool = False,
) -> frames.FramePair:
  """A pair whose field of the middle is known, [2, H, W].

  Args:
    rng: Source of the noise.
    refined: The field of the pair that this one is made of.
    field: The known field.
    is_rigid: Whether the content is particles, which keep their form in a
      strained flow, and not a surface.
  """
  residuals = refined.residuals
  residual = residuals.residual
  noise = rng.standard_normal(residual.shape)
  sign = _LOST * np.sign(scipy.ndimage.gaussian_filter(noise, _PATCH))
  average = residuals.average + _same_spectrum(rng, residual / 2)
  centres = particle_centres(residuals.average) if is_rigid else None
  moved, seen = [], []
  for way in (1, -1):
    frame = average - way * sign * residual / 2
    both = np.stack([frame, residuals.visible])
    frame, visible = frames.at_first_frame(way * field, both, centres=centres)
    moved.append(frame)
    seen.append(visible > 0.5)
  return frames.FramePair(moved[0], moved[1], seen[0], seen[1])


def particle_centres(image: np.ndarray) -> np.ndarray:
  """The nearest local maximum (y, x) of each pixel, [2, H, W] integers."""
  peaks = image >= scipy.ndimage.maximum_filter(image, 3)
  return scipy.ndimage.distance_transform_edt(
    ~peaks, return_distances=False, return_indices=True
  )


def _same_spectrum(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
  """A random image [H, W] of the power spectrum of another."""
  waves = scipy.fft.dctn(values, norm='ortho')
  return scipy.fft.idctn(waves * rng.choice((-1, 1), waves.shape), norm='ortho')
