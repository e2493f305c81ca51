"""Filling of missing pixels, of pictures with and without noise.

Smooth interpolation gives a first picture. Each pass then improves the mixture
of Gaussians of all patches by what is observed of them, and gives each patch a
Gaussian of its own from the patches most similar to it (`MaskedGroups`). Its
exact conditional given the observed pixels fills it. The result is the guide of
the next pass. Without noise, seen pixels stay as they are; with noise, they
have the precision 1 / sigma^2 and are estimated like all others.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.applications.restoration.calibration import (
  calibrating_factor,
)
from internal_diffusion.applications.restoration.mixture_prior import (
  patch_vectors,
)
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.masks import check_mask
from internal_diffusion.data.pointwise import make_masking
from internal_diffusion.denoisers.guided_mixture import (
  GuidedMixture,
  from_gaussians,
)
from internal_diffusion.denoisers.masked_groups import (
  MaskedGroups,
  make_masked_groups,
)
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.samplers import sample_euler_maruyama
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.training.guided_mixture import improve_guided_mixture

Array = jax.Array

_GREY_PATCH, _COLOUR_PATCH = 7, 5  # Sides of patches, in pixels.
_NUM_COMPONENTS, _PATCHES_PER_COMPONENT = 30, 60
_FIRST_STEPS = 4  # Steps of the mixture that is fitted to the interpolation.
_FIRST_NOISE = 2.0  # Its noise, in grey levels of 255.
# Weight of the mixture in each pass: a poor guide has misleading details.
_RHOS = 60.0, 15.0, 8.0, 8.0, 8.0, 8.0
_STEPS = 3  # Steps of expectation-maximisation of the mixture before a pass.
_MAX_PATCHES = 100_000  # That a mixture is fitted to.
_STRIDE = 2  # Of the patches of all passes but the last.
_MAX_DENSE = 512**2  # Pixels of a picture whose last pass takes all patches.
_NOISE = 0.7  # Noise of a seen pixel, at least, in grey levels of 255.
_HELD_OUT = 0.05  # Share of the seen pixels that calibrates.
_GUIDE_STD = 4 * 2 / 255  # Error of the guide where components are assigned.
# Samples: noise levels over the largest standard deviation, and the stride.
_SAMPLE_LEVELS, _SAMPLE_STRIDE = np.geomspace(2, 1 / 16, 10), 3
# The more is missing, the more variance the guide lacks: with three quarters
# missing and the share 1, samples had 0.71 of the true detail, with 3, 0.87
# (coffee of scikit-image).
_HIDDEN_SHARES = 1.0, 4.0  # At least and at most.


@with_own_settings
def inpaint(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray,
  *,
  sigma: float = 0.0,
  num_samples: int = 0,
  progress: bool = False,
) -> Restored:
  """Fills missing pixels.

  Args:
    key: One key.
    image: [H, W, C]; the values of missing pixels are not used.
    mask: True where a pixel is missing, [H, W].
    sigma: Standard deviation of the noise of seen pixels, in grey levels of
      255, which is removed; 0 keeps them as they are.
    num_samples: Number of samples.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the mask has another size, all or no pixel is missing, or
      sigma is out of range.
  """
  arrays.check_in_range('sigma', sigma, 0, 255)
  image = np.asarray(image, np.float32)
  mask = check_mask(mask, image.shape[:2])
  seen = np.broadcast_to(~mask[..., None], image.shape)
  observed = jax.device_put(np.where(seen, image, 0).astype(np.float32))
  noise_variance = (2 * max(sigma, _NOISE) / 255) ** 2
  precision = jax.device_put(seen.astype(np.float32) / noise_variance)
  start_key, held_key, sample_key = jax.random.split(key, 3)
  # Some seen pixels are kept from the passes, so that they can calibrate.
  is_kept = jax.random.uniform(held_key, (*mask.shape, 1)) >= _HELD_OUT
  kept = precision * is_kept
  guide = make_masking(~mask).interpolate(observed)
  mixture = _first_mixture(start_key, guide, sigma)
  for rho in tqdm(_RHOS[:-1], desc='filling', disable=not progress):
    mixture, groups = _groups(mixture, guide, observed, kept, rho)
    mean, variance = _posterior(groups)
    guide = _kept_or(mean, observed, kept, sigma)
  held_out = seen & ~np.asarray(is_kept)
  factor = 1.0
  if held_out.any():  # Not always, where few pixels are seen.
    spread = np.asarray(variance) + (2 * sigma / 255) ** 2
    factor = calibrating_factor(
      np.asarray(mean - observed)[held_out], np.sqrt(spread)[held_out]
    )
  last_stride = 1 if mask.size <= _MAX_DENSE else _STRIDE
  mixture, groups = _groups(
    mixture, guide, observed, precision, _RHOS[-1], last_stride
  )
  mean, variance = (np.asarray(part) for part in _posterior(groups))
  std = factor * np.sqrt(variance)
  samples = np.empty((0, *image.shape), np.float32)
  if num_samples:
    wide = _widened(groups, jax.device_put(mean), float(mask.mean()))
    samples = _draw(sample_key, wide, float(std[mask].max()), num_samples)
  if not sigma:
    mean, samples = (np.where(seen, image, part) for part in (mean, samples))
    std = np.where(seen, 0, std)
  found = {'missing': round(float(mask.mean()), 4)}
  if sigma:
    found['sigma'] = float(sigma)
  return from_std(mean, std, samples=samples, found=found)


def _first_mixture(key: Array, guide: Array, sigma: float) -> GuidedMixture:
  """The mixture of the patches of the interpolated picture."""
  patch_size = _patch_size(guide)
  vectors = patch_vectors(
    guide, patch_size=patch_size, stride=_fit_stride(guide)
  )
  most = len(vectors) // _PATCHES_PER_COMPONENT
  gaussians = fit_gaussian_mixture(
    key,
    vectors,
    noise_std=2 * max(sigma, _FIRST_NOISE) / 255,
    num_components=max(1, min(_NUM_COMPONENTS, most)),
    num_steps=_FIRST_STEPS,
  )
  return from_gaussians(gaussians)


def _patch_size(image: Array) -> int:
  return _GREY_PATCH if image.shape[-1] == 1 else _COLOUR_PATCH


def _fit_stride(image: Array) -> int:
  """Distance of the patches that a mixture is fitted to."""
  pixels = image.shape[0] * image.shape[1]
  return max(_STRIDE, math.ceil(math.sqrt(pixels / _MAX_PATCHES)))


def _groups(
  mixture: GuidedMixture,
  guide: Array,
  observed: Array,
  precision: Array,
  rho: float,
  stride: int = _STRIDE,
) -> tuple[GuidedMixture, MaskedGroups]:
  """A better mixture, and the groups of similar patches of the guide."""
  patch_size = _patch_size(guide)
  cut = functools.partial(
    patch_vectors, patch_size=patch_size, stride=_fit_stride(guide)
  )
  component = mixture.assign(cut(guide), noise_std=_GUIDE_STD)
  for _ in range(_STEPS):
    mixture = improve_guided_mixture(
      mixture, cut(observed), cut(precision), component
    )
  groups = make_masked_groups(
    guide,
    mixture,
    observed,
    precision,
    patch_size=patch_size,
    stride=stride,
    rho=rho,
  )
  return mixture, groups


@jax.jit
def _posterior(groups: MaskedGroups) -> tuple[Array, Array]:
  return groups.posterior()


def _kept_or(mean: Array, observed: Array, kept: Array, sigma: float) -> Array:
  """The next guide: the mean, and noise-free pixels themselves."""
  return mean if sigma else jnp.where(kept > 0, observed, mean)


def _widened(groups: MaskedGroups, mean: Array, missing: float) -> MaskedGroups:
  """The groups of the result, with the variance that it lacks."""
  share = float(np.clip(missing / (1 - missing), *_HIDDEN_SHARES))
  return make_masked_groups(
    mean,
    groups.mixture,
    groups.observed,
    groups.precision,
    patch_size=groups.patch_size,
    stride=_SAMPLE_STRIDE,
    hidden_share=share,
  )


def _draw(
  key: Array, groups: MaskedGroups, largest: float, num: int
) -> np.ndarray:
  """Samples of the whole picture given what is observed, [K, H, W, C].

  They share the groups, so a step is about as long for all as for one.

  Args:
    key: One key.
    groups: The denoiser of the picture given what is observed.
    largest: Largest standard deviation of a pixel.
    num: K.
  """
  path = np.append(largest * _SAMPLE_LEVELS, 0).astype(np.float32)
  start_key, key = jax.random.split(key)
  noise = jax.random.normal(start_key, (num, *groups.guide.shape))
  x = groups.guide[None] + path[0] * noise
  keys = jax.random.split(key, num)
  return np.asarray(_reverse(keys, groups, x, jax.device_put(path)))


@jax.jit
def _reverse(
  keys: Array, groups: MaskedGroups, x: Array, sigmas: Array
) -> Array:
  return sample_euler_maruyama(keys, groups, x, sigmas)
