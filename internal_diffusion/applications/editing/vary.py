"""Variations of a picture, and paths between two pictures.

A picture is encoded by noise at a level of its pyramid, and decoded by its
prior along the probability flow. For a variation the noise is drawn: the more
noise, the less of the picture is left (`following`). For a path the picture is
encoded by the flow itself (`sampling.inversion`), which has no randomness, so
that the path begins and ends with the two pictures; between them it is
spherical (Song et al. 2021, DDIM, sec. 5.3).
"""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.editing.edited import (
  Edited,
  from_samples,
)
from internal_diffusion.applications.editing.following import make_start
from internal_diffusion.applications.images.inference import generate
from internal_diffusion.applications.images.prior import (
  ImagePrior,
  make_image_prior,
)
from internal_diffusion.data import image_io
from internal_diffusion.data.resampling import resample
from internal_diffusion.sampling import inversion
from internal_diffusion.sampling.coarse_to_fine import (
  Start,
  linear_flow_sigmas,
)
from internal_diffusion.types import Denoiser

Array = jax.Array

PATCH_SIZE = 9
STRENGTH = 0.4  # Of a variation and of a path.
NUM_FRAMES = 9
_NUM_STEPS = 20  # Of an encoding.

_encode = jax.jit(inversion.encode)


def vary(
  key: Array,
  image: np.ndarray,
  *,
  strength: float = STRENGTH,
  num_samples: int = 4,
) -> Edited:
  """Makes variations of a picture.

  Args:
    key: One key.
    image: [H, W, C] in [-1, 1].
    strength: How much changes, in [0, 1]: at 0 nothing, at 1 everything, as
      `generate` does.
    num_samples: Number K of variations.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  arrays.check_in_range('strength', strength, 0, 1)
  image = image_io.check_image(image)
  found = {'strength': strength}
  if strength == 0:
    samples = np.repeat(image[None], num_samples, axis=0)
    return from_samples(samples, found)
  start = make_start(image, image, patch_size=PATCH_SIZE, strength=1 - strength)
  prior = make_image_prior(image, patch_size=PATCH_SIZE)
  traces = [
    generate(own, prior, start=start)
    for own in jax.random.split(key, num_samples)
  ]
  samples = np.stack([levels[0] for levels in traces])
  return from_samples(samples, found)._replace(traces=traces)


def interpolate(
  key: Array,
  image: np.ndarray,
  *,
  guide: np.ndarray | None = None,
  strength: float = STRENGTH,
  num_samples: int = NUM_FRAMES,
) -> Edited:
  """Makes the frames of a path from a picture to another.

  Args:
    key: One key.
    image: The first picture, [H, W, C] in [-1, 1].
    guide: The last picture, [h, w, C], resized to the first one; None is a
      variation of the first with the same strength.
    strength: How coarse the parts are that change together, in (0, 1].
    num_samples: Number of frames, at least 2.

  Returns:
    The frames in their order; the first and the last are the two pictures, up
    to the error of their encodings.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  arrays.check_in_range('num_samples', num_samples, 2, np.inf)
  arrays.check_in_range('strength', strength, 0, 1, open_low=True)
  image = image_io.check_image(image)
  if guide is None:
    guide = vary(key, image, strength=strength, num_samples=1).samples[0]
    others = []
  else:
    guide = image_io.check_image(guide, name='guide')
    if guide.shape[-1] != image.shape[-1]:
      raise ValueError(
        f'`guide` has {guide.shape[-1]} channels, but the image has'
        f' {image.shape[-1]}; convert it.'
      )
    guide = np.asarray(resample(guide, image.shape[:2])).clip(-1, 1)
    others = [guide]
  start = make_start(
    image, image, patch_size=PATCH_SIZE, strength=max(1 - strength, 1e-3)
  )
  assert start is not None
  prior = make_image_prior(image, patch_size=PATCH_SIZE, others=others)
  ends = [encoding(prior, picture, start) for picture in (image, guide)]
  frames = []
  for fraction in np.linspace(0, 1, num_samples):
    between = inversion.spherical_interpolation(
      ends[0][None], ends[1][None], float(fraction)
    )[0]
    own = start._replace(picture=between, is_noisy=True)
    frames.append(generate(key, prior, start=own)[0])
  found = {'strength': strength, 'level': start.level, 'noise': start.sigma}
  return from_samples(np.stack(frames), found)


def encoding(prior: ImagePrior, picture: np.ndarray, start: Start) -> Array:
  """A picture at the level and the noise level of a start, [h, w, C]."""
  assert start.level is not None
  size = prior.level_sizes(prior.size)[start.level]
  denoiser: Denoiser = prior.levels[start.level].denoiser
  sigmas = linear_flow_sigmas(_NUM_STEPS, sigma_max=start.sigma)
  return _encode(denoiser, resample(picture, size)[None], sigmas)[0]
