"""Denoising: a mixture of Gaussians and groups of similar patches.

The mixture is fitted to the noisy patches of the picture and denoises them once
at their own noise level. Groups of similar patches give a second estimate, of
independent errors to a good part, and the mean of both is better than either.
Noise that is not white is made white first: that of a camera by the generalised
Anscombe transform, that of lines by removing its correlation.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.restoration.mixture_prior import (
  MixtureImageDenoiser,
  fit_mixture_prior,
)
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.noise_correlation import (
  Correlation,
  unwhiten,
  whiten,
)
from internal_diffusion.data.noise_level import NoiseEstimate, estimate_noise
from internal_diffusion.data.variance_stabilisation import (
  destabilise,
  stabilise,
)
from internal_diffusion.denoisers.similar_patches import SimilarPatchesDenoiser
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_SAMPLE_STRIDE = 2
# With all of the hidden variance, samples have 1.16 times the true detail, as
# the sampler's few steps add a little (camera of scikit-image).
_HIDDEN_SHARE = 0.7


class _White(NamedTuple):
  """How a picture was transformed so that its noise is white."""

  gain: np.ndarray
  offset: np.ndarray
  correlation: Correlation | None
  is_stabilised: bool


@with_own_settings
def denoise(
  key: Array,
  image: np.ndarray,
  *,
  sigma: float | None = None,
  num_samples: int = 0,
  progress: bool = False,
) -> Restored:
  """Denoises a picture.

  Args:
    key: One key.
    image: Noisy picture, [H, W, C]; noise may lie beyond [-1, 1].
    sigma: Standard deviation of white noise, in grey levels of 255; None
      estimates the noise, its dependence on the signal and its correlation.
    num_samples: Number of samples.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the noise level is negative, or cannot be estimated.
  """
  image = np.asarray(image, np.float32)
  if sigma is None:
    noise = estimate_noise(image)
    found = _described(noise)
    white, level, how = _make_white(image, noise)
  else:
    arrays.check_in_range('sigma', sigma, 0, 255)
    found = {'sigma': float(sigma)}
    white, level = image, 2 * sigma / 255
    how = _White(np.zeros(0), np.zeros(0), None, False)
  if level < 1e-4:
    return from_std(image, np.zeros_like(image), found=found)
  fit_key, sample_key = jax.random.split(key)
  noisy = jax.device_put(white)
  prior = fit_mixture_prior(fit_key, noisy, noise_std=level)
  mean, variance = denoise_white(prior, noisy, level)
  samples = None
  if num_samples:
    full = fit_mixture_prior(
      fit_key,
      noisy,
      noise_std=level,
      num_steps=1,
      start=prior,
      stride=_SAMPLE_STRIDE,
      hidden_share=_HIDDEN_SHARE,
    )
    drawn = draw_samples(
      sample_key,
      full,
      noisy,
      num=num_samples,
      sigma=level,
      is_noisy=True,
      progress=progress,
    )
    samples = _back(drawn, how)
  std = np.sqrt(variance)
  return from_std(
    _back(mean, how),
    _std_back(mean, std, how),
    samples=samples,
    found=found,
  )


def denoise_white(
  prior: MixtureImageDenoiser, noisy: Array, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
  """Mean and variance [H, W, C] of a picture with white noise."""
  level = jax.device_put(np.float32(sigma))
  mean, variance = _posterior(prior, noisy[None], level)
  groups = SimilarPatchesDenoiser().estimate(noisy[None], level)
  both = (np.asarray(mean[0]) + np.asarray(groups.mean[0])) / 2
  # The geometric mean of both ranks the errors best, and is a little small.
  own = np.asarray(variance[0])
  ranked = np.sqrt(own * np.asarray(groups.variance[0]))
  return both, ranked * (np.mean(own) / max(float(np.mean(ranked)), 1e-12))


@jax.jit
def _posterior(
  prior: MixtureImageDenoiser, x: Array, sigma: Array
) -> tuple[Array, Array]:
  return prior.posterior(x, sigma)


def _described(noise: NoiseEstimate) -> dict:
  """What was found of the noise, in words."""
  sigma = round(noise.grey_levels, 2)
  text = f'the noise has a standard deviation of {sigma} grey levels'
  if noise.is_signal_dependent:
    text += ' and depends on the brightness'
  if noise.correlation.axis is not None:
    lines = ('columns', 'rows')[noise.correlation.axis]
    text += f' and is correlated along {lines}'
  return {'sigma': sigma, 'reasons': [text]}


def _make_white(
  image: np.ndarray, noise: NoiseEstimate
) -> tuple[np.ndarray, float, _White]:
  """The picture with white noise of one level, and that level."""
  correlation = (
    noise.correlation if noise.correlation.axis is not None else None
  )
  how = _White(
    noise.gain,
    noise.offset,
    correlation,
    noise.is_signal_dependent or len(noise.sigma) > 1,
  )
  level = float(np.sqrt(np.mean(noise.sigma**2)))
  if level < 1e-4:
    return image, 0.0, how._replace(is_stabilised=False)
  if how.is_stabilised:
    image, level = stabilise(image, gain=noise.gain, offset=noise.offset)
  if correlation is not None:
    image = whiten(image, correlation)
  return image, level, how


def _back(white: np.ndarray, how: _White) -> np.ndarray:
  """Pictures [..., H, W, C] from those with white noise."""
  if how.correlation is not None and white.size:
    shape = white.shape
    stack = white.reshape(-1, *shape[-3:])
    back = [unwhiten(one, how.correlation) for one in stack]
    white = np.stack(back).reshape(shape)
  if how.is_stabilised:
    return destabilise(white, gain=how.gain, offset=how.offset)
  return white


def _std_back(mean: np.ndarray, std: np.ndarray, how: _White) -> np.ndarray:
  """The standard deviation of `_back(mean)`."""
  if how.correlation is not None:
    # Variances of x_t = rho x_(t-1) + sqrt(1 - rho^2) y_t.
    rho = how.correlation.rho**2
    squared = dataclasses.replace(how.correlation, rho=rho)
    scale = (1 - rho) / np.sqrt(1 - rho**2)
    std = np.sqrt(unwhiten(scale * std**2, squared))
    mean = unwhiten(mean, how.correlation)
  if how.is_stabilised:
    ends = [
      destabilise(mean + sign * std, gain=how.gain, offset=how.offset)
      for sign in (1, -1)
    ]
    std = (ends[0] - ends[1]) / 2
  return std
