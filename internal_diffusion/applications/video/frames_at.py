"""Frames at given times: the loop that interpolation and prediction share."""

from collections.abc import Sequence

import jax
import numpy as np
from tqdm import tqdm

from internal_diffusion.applications.video.estimate import (
  Estimate,
  FrameEstimator,
)
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.samples import (
  MovingErrors,
  project,
)
from internal_diffusion.data.clip_io import Clip
from internal_diffusion.sampling.known_pixels import make_known_pixels

Array = jax.Array


def estimate_frames(
  key: Array,
  clip: Clip,
  times: Sequence[int],
  wanted: Sequence[tuple[float, Sequence[int]]],
  *,
  num_samples: int,
  rate: float,
  progress: bool = False,
) -> Filmed:
  """Estimates frames of a clip.

  Args:
    key: One key.
    clip: The clip.
    times: Time of each of its frames.
    wanted: The time of each frame to estimate, and the times of the frames to
      use; see `FrameEstimator.estimate`. Where only one time is given, that
      frame is taken as it is.
    num_samples: Number K of samples.
    rate: Frames per second of the result.
    progress: Whether to show a progress bar.
  """
  estimator = FrameEstimator(clip.frame, times)
  index = {time: position for position, time in enumerate(times)}
  shape = (len(wanted), *clip.pixels.shape[1:])
  mean = np.empty(shape, np.float32)
  std = np.zeros(shape[:-1], np.float32)
  samples = np.zeros((num_samples, *shape), np.float32)
  known = np.zeros(shape[:-1], bool)
  errors = MovingErrors(key, num_samples)
  last: Estimate | None = None
  for position, (time, neighbours) in enumerate(
    tqdm(wanted, desc='frames', disable=not progress)
  ):
    if len(neighbours) == 1:
      mean[position] = clip.frame(index[neighbours[0]])
      known[position] = True
      continue
    found = estimator.estimate(time, neighbours)
    mean[position], std[position] = found.mean, found.std
    if num_samples:
      rho = 0.0 if last is None else estimator.persistence(last, found)
      drawn = errors.following(found.mean, list(found.errors.values()), rho)
      samples[:, position] = found.mean + found.std[..., None] * drawn
    last = found
  constraint = make_known_pixels(known, mean)
  return Filmed(mean, std, project(samples, [constraint]), rate, {})
