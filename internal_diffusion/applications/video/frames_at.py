"""Frames at given times: the loop that interpolation and prediction share."""

from collections.abc import Sequence

import jax
import numpy as np

from internal_diffusion.applications.video.estimate import (
  Estimate,
  FrameEstimator,
)
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.progress import make_bar
from internal_diffusion.applications.video.samples import (
  MovingErrors,
  project,
  steadier,
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
  most_flicker: float | None = None,
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
    most_flicker: Largest flicker of samples, whose errors become as persistent
      as that needs; None keeps the measured persistence.
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
  bar = make_bar(len(wanted), 'frames', progress=progress)
  for position, (time, neighbours) in enumerate(wanted):
    bar.update(position - bar.n)
    if len(neighbours) == 1:
      mean[position] = clip.frame(index[neighbours[0]])
      known[position] = True
      continue
    found = estimator.estimate(time, neighbours, bar.update)
    mean[position], std[position] = found.mean, found.std
    if num_samples:
      rho = 0.0 if last is None else estimator.persistence(last, found)
      looks = list(found.errors.values())
      samples[:, position] = errors.following(found.mean, looks, rho)
    last = found
  bar.update(len(wanted) - bar.n)
  bar.close()
  if most_flicker is not None:
    samples = steadier(mean, std, samples, most_flicker)
  samples = project(
    mean + std[..., None] * samples, [make_known_pixels(known, mean)]
  )
  return Filmed(mean, std, samples, rate, {})
