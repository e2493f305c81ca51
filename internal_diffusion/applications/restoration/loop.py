"""The loop of restoration: denoise, satisfy what is known, learn again.

The noise level sigma_t falls. Each step denoises the current estimate as if it
had noise of that level, and moves the result to agree with what is known of the
picture (half-quadratic splitting; Zoran & Weiss 2011). The estimate becomes
better, so the prior is fitted to it again now and then, at half of sigma_t:
what the prior should learn is stronger than what is still wrong.
"""

from collections.abc import Sequence

import jax
import numpy as np
from tqdm import tqdm

from internal_diffusion.applications.restoration.mixture_prior import (
  MixtureImageDenoiser,
  fit_mixture_prior,
)
from internal_diffusion.sampling.constraints import Constraint
from internal_diffusion.sampling.samplers import restore_half_quadratic

Array = jax.Array

_STEPS_PER_FIT = 3
_FIT_NOISE = 0.5  # Noise level of a fit, over sigma_t.
# Steps of expectation-maximisation of the first fit, and of later ones.
_FIRST_FIT, _LATER_FIT = 8, 4
_MAX_PATCHES = 100_000  # Of a fit.


def restore_by_splitting(
  key: Array,
  image: Array,
  constraints: Sequence[Constraint],
  sigmas: np.ndarray,
  *,
  num_components: int = 60,
  stride: int = 1,
  progress: bool = False,
) -> tuple[Array, MixtureImageDenoiser]:
  """Restores an image from a first estimate.

  Args:
    key: One key.
    image: First estimate, [H, W, C].
    constraints: What is known of the image.
    sigmas: Decreasing noise levels of the steps, [T].
    num_components: Number of Gaussians of the prior.
    stride: Distance of denoised patches, in pixels.
    progress: Whether to show a progress bar.

  Returns:
    The restored image [H, W, C], and the last prior.
  """
  prior = None
  path = np.append(sigmas, 0).astype(np.float32)
  bar = tqdm(
    total=len(sigmas), desc='restoring', unit='step', disable=not progress
  )
  for first in range(0, len(sigmas), _STEPS_PER_FIT):
    fit_key, step_key = jax.random.split(jax.random.fold_in(key, first))
    part = path[first : first + _STEPS_PER_FIT + 1]
    prior = fit_mixture_prior(
      fit_key,
      image,
      noise_std=_FIT_NOISE * float(part[0]),
      num_components=num_components,
      num_steps=_FIRST_FIT if prior is None else _LATER_FIT,
      start=prior,
      stride=stride,
      max_patches=_MAX_PATCHES,
    )
    image = _steps(step_key, prior, image, part, tuple(constraints))
    bar.update(len(part) - 1)
  bar.close()
  assert prior is not None
  return image, prior


def continue_splitting(
  key: Array,
  prior: MixtureImageDenoiser,
  image: Array,
  constraints: Sequence[Constraint],
  sigmas: np.ndarray,
) -> Array:
  """Steps of the loop from an image [H, W, C], with a prior that stays."""
  path = np.append(sigmas, 0).astype(np.float32)
  return _steps(key, prior, image, path, tuple(constraints))


@jax.jit
def _steps(
  key: Array,
  prior: MixtureImageDenoiser,
  image: Array,
  sigmas: Array,
  constraints: tuple[Constraint, ...],
) -> Array:
  found = restore_half_quadratic(
    key, prior, image[None], sigmas, constraints=constraints
  )
  return found[0]


def falling(first: float, last: float, num: int) -> np.ndarray:
  """Noise levels that fall by a constant ratio, [num].

  Args:
    first: First level, in grey levels of 255.
    last: Last level, in grey levels of 255.
    num: Number of levels.

  Returns:
    Levels in units of images in [-1, 1].
  """
  return np.geomspace(first, last, num).astype(np.float32) * (2 / 255)
