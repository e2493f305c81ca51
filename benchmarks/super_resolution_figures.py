"""Figures of an upscaled image: fidelity, consistency and uncertainty.

PSNR and SSIM follow the literature: luminance of BT.601 at 16 to 235, the
result rounded to 8 bits, without `factor` pixels of the border, rounded up. All
figures of uncertainty are on that luminance too.
"""

import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from internal_diffusion.applications import super_resolution
from internal_diffusion.applications.super_resolution.uncertainty import (
  WIDENING,
  estimate_uncertainty,
)
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.data.patches import extract_patches
from internal_diffusion.evaluation import (
  calibration,
  distances,
  fidelity,
  sparsification,
)

_BLACK, _WHITE = 16, 235  # Luma of BT.601 in an 8-bit image.
_COVERAGE = 0.9
_DETAIL_STDDEV = 1.0  # Of the Gaussian filter below detail, in pixels.
_PATCH_SIZE, _NUM_PROJECTIONS = 7, 128  # Of the distance of patches.


def rounded(image: np.ndarray) -> np.ndarray:
  """Image in [-1, 1] rounded to 8 bits."""
  levels = np.round((np.asarray(image) + 1) * 127.5).clip(0, 255)
  return (levels / 127.5 - 1).astype(np.float32)


def luma(image: np.ndarray, border: int) -> np.ndarray:
  """Luminance without the border, [H, W, 1] in [-1, 1]."""
  inside = slice(border, -border)
  grey = (to_planes(rounded(image))[0][inside, inside, None] + 1) / 2
  return (_BLACK + (_WHITE - _BLACK) * grey) / 127.5 - 1


def decibels(values: np.ndarray) -> float:
  """PSNR of an error in [-2, 2]."""
  return float(10 * np.log10(4 / max(np.mean(np.square(values)), 1e-12)))


def detail(grey: np.ndarray) -> float:
  """Energy of an image [H, W, 1] above a Gaussian filter."""
  smooth = ndimage.gaussian_filter(grey[..., 0], _DETAIL_STDDEV)
  return float(np.mean(np.square(grey[..., 0] - smooth)))


def patch_distance(image: np.ndarray, truth: np.ndarray) -> float:
  """Sliced 2-Wasserstein distance of all patches of images [H, W, 1]."""
  patches = [
    extract_patches(values, patch_size=_PATCH_SIZE).reshape(-1, _PATCH_SIZE**2)
    for values in (image, truth)
  ]
  return distances.sliced_wasserstein(
    jax.random.key(0), *patches, num_projections=_NUM_PROJECTIONS
  )


def fidelity_of(image: np.ndarray, truth: np.ndarray) -> dict[str, float]:
  """Fidelity of luminance [H, W, 1]."""
  return {
    'psnr': fidelity.psnr(image, truth),
    'ssim': fidelity.ssim(image, truth),
    'detail_over_truth': detail(image) / detail(truth),
    'patch_distance': patch_distance(image, truth),
  }


def consistency(
  image: np.ndarray, low: np.ndarray, degradation: Downscaling
) -> float:
  """PSNR of the downscaled against the given image, all channels, in dB."""
  return decibels(np.asarray(degradation.apply(image)) - low)


def uncertainty_figures(
  samples: np.ndarray, mean: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
  """Calibration of samples [K, H, W, 1] against the error of the mean."""
  found, error = estimate_uncertainty(mean, samples), np.abs(mean - truth)
  predicted = found.std
  widened = mean + WIDENING * (samples - mean)
  return {
    'coverage_of_90': calibration.interval_coverage(widened, truth, _COVERAGE),
    'coverage_of_bounds': calibration.bounds_coverage(
      found.low, found.high, truth
    ),
    'spread_over_error': float(
      np.sqrt(np.mean((samples - mean) ** 2) / np.mean(error**2))
    ),
    'rank_correlation': sparsification.rank_correlation(predicted, error),
    'sparsification_area': sparsification.sparsification_curves(
      predicted, error
    ).area,
  }


def figures_of(
  found: super_resolution.Upscaled,
  low: np.ndarray,
  truth: np.ndarray,
  factor: float,
) -> dict[str, object]:
  """Figures of bicubic, the mean and the samples against the truth."""
  degradation = make_downscaling(low.shape[:2], truth.shape[:2])
  bicubic = np.asarray(degradation.interpolate(jnp.asarray(low)))
  border = math.ceil(factor)
  expected = luma(truth, border)
  mean = luma(found.mean, border)
  figures: dict[str, object] = {
    'bicubic': fidelity_of(luma(bicubic, border), expected),
    'mean': {
      **fidelity_of(mean, expected),
      'consistency': consistency(found.mean, low, degradation),
    },
  }
  if len(found.samples):
    samples = np.stack([luma(sample, border) for sample in found.samples])
    each = [fidelity_of(sample, expected) for sample in samples]
    figures['sample'] = {
      **mean_of(each),
      'consistency': statistics.fmean(
        consistency(sample, low, degradation) for sample in found.samples
      ),
    }
    figures['uncertainty'] = uncertainty_figures(samples, mean, expected)
  return figures


def mean_of(runs: list[dict[str, float]]) -> dict[str, float]:
  """Mean of each figure."""
  return {name: statistics.fmean(r[name] for r in runs) for name in runs[0]}


def summary(runs: list[dict[str, dict[str, float]]]) -> dict[str, object]:
  """Mean of each group of figures over the images."""
  groups = ('bicubic', 'mean', 'sample', 'uncertainty', 'seconds')
  found: dict[str, object] = {
    group: mean_of([run[group] for run in runs])
    for group in groups
    if group in runs[0]
  }
  return {**found, 'peak_gib': max(run['peak_gib'] for run in runs)}
