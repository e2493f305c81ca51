"""Variations of a picture, and paths between two pictures.

A picture is encoded by noise at a level of its pyramid, and decoded by its
prior along the probability flow. For a variation the noise is drawn: the more
noise, the less of the picture is left (`following`). For a path the picture is
encoded by the flow itself (`sampling.inversion`), which has no randomness, so
that the path begins and ends with the two pictures; between them it is
spherical (Song et al. 2021, DDIM, sec. 5.3).

The patches of unlike pictures have little between them: along one great circle
all of the picture would jump at once. So each place has its own time at which
it goes over, from a smooth random field, and the frames are placed by bisection
where the picture changes.
"""

from collections.abc import Callable

import jax
import numpy as np
from scipy import ndimage

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
_DURATION = 0.2  # Of the way of a place, over that of the picture.

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
  guide: np.ndarray,
  strength: float = STRENGTH,
  num_samples: int = NUM_FRAMES,
) -> Edited:
  """Makes the frames of a path from a picture to another.

  Args:
    key: One key; it decides which places change first.
    image: The first picture, [H, W, C] in [-1, 1].
    guide: The last picture, [h, w, C], resized to the first one.
    strength: How coarse the parts are that change together, in (0, 1].
    num_samples: Number of frames, at least 2.

  Returns:
    The frames in their order; the first and the last are the two pictures.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_positive_int('num_samples', num_samples)
  arrays.check_in_range('num_samples', num_samples, 2, np.inf)
  arrays.check_in_range('strength', strength, 0, 1, open_low=True)
  image = image_io.check_image(image)
  guide = image_io.check_image(guide, name='guide')
  if guide.shape[-1] != image.shape[-1]:
    raise ValueError(
      f'`guide` has {guide.shape[-1]} channels, but the image has'
      f' {image.shape[-1]}; convert it.'
    )
  guide = np.asarray(resample(guide, image.shape[:2])).clip(-1, 1)
  start = make_start(
    image, image, patch_size=PATCH_SIZE, strength=max(1 - strength, 1e-3)
  )
  assert start is not None
  prior = make_image_prior(image, patch_size=PATCH_SIZE, others=[guide])
  ends = [encoding(prior, picture, start) for picture in (image, guide)]
  size = ends[0].shape[:2]
  difference = np.asarray(abs(resample(guide - image, size))).mean(axis=-1)
  times = times_of_change(key, difference)

  def frame_at(time: float) -> np.ndarray:
    fraction = ((1 + _DURATION) * time - times) / _DURATION
    between = inversion.spherical_interpolation(
      ends[0][None],
      ends[1][None],
      jax.device_put(fraction.clip(0, 1)[None, ..., None]),
    )[0]
    own = start._replace(picture=between, is_noisy=True)
    return generate(key, prior, start=own)[0]

  frames = spaced(frame_at, image, guide, num_samples)
  found = {'strength': strength, 'level': start.level, 'noise': start.sigma}
  return from_samples(np.stack(frames), found)


def spaced(
  frame_at: Callable[[float], np.ndarray],
  first: np.ndarray,
  last: np.ndarray,
  num_frames: int,
) -> list[np.ndarray]:
  """Frames of a path about equally far apart, the two ends among them.

  Twice as many frames as wanted are made, each in the middle of the two that
  differ most; then those are left out that are nearest to their neighbours,
  by the product of the two distances.

  Args:
    frame_at: The frame at a time in (0, 1).
    first: The frame at time 0.
    last: The frame at time 1.
    num_frames: Number of frames, at least 2.
  """
  path = [(0.0, first), (1.0, last)]
  while len(path) < 2 * num_frames - 2:
    frames = [frame for _, frame in path]
    at = int(np.argmax(list(map(_distance, frames, frames[1:]))))
    time = (path[at][0] + path[at + 1][0]) / 2
    path.insert(at + 1, (time, frame_at(time)))
  frames = [frame for _, frame in path]
  while len(frames) > num_frames:
    gaps = np.array(list(map(_distance, frames, frames[1:])))
    del frames[1 + int(np.argmin(gaps[:-1] * gaps[1:]))]
  return frames


def _distance(first: np.ndarray, second: np.ndarray) -> float:
  return float(abs(first - second).mean())


def times_of_change(key: Array, difference: np.ndarray) -> np.ndarray:
  """When each place of a path goes over, [h, w] in [0, 1].

  Args:
    key: One key.
    difference: How much each place changes, [h, w], 0 or more. Equal times
      change equal amounts.
  """
  noise = np.asarray(jax.random.normal(key, difference.shape))
  field = ndimage.gaussian_filter(noise, PATCH_SIZE / 2)
  order = np.argsort(field, axis=None)
  passed = np.cumsum(difference.reshape(-1)[order] + 1e-6)
  times = np.empty(difference.size, np.float32)
  times[order] = passed / passed[-1]
  return times.reshape(difference.shape)


def encoding(prior: ImagePrior, picture: np.ndarray, start: Start) -> Array:
  """A picture at the level and the noise level of a start, [h, w, C]."""
  assert start.level is not None
  size = prior.level_sizes(prior.size)[start.level]
  denoiser: Denoiser = prior.levels[start.level].denoiser
  sigmas = linear_flow_sigmas(_NUM_STEPS, sigma_max=start.sigma)
  return _encode(denoiser, resample(picture, size)[None], sigmas)[0]
