"""Frames after the last of a clip, or before the first."""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.frames_at import estimate_frames
from internal_diffusion.applications.video.steady import flicker
from internal_diffusion.data.clip_io import Clip

Array = jax.Array

_NUM_USED = 3  # Number of frames that a prediction uses.


def predict(
  key: Array,
  clip: Clip,
  *,
  num_frames: int = 8,
  backward: bool = False,
  num_samples: int = 4,
  progress: bool = False,
) -> Filmed:
  """Predicts frames of a clip, with samples and uncertainty.

  Each frame is predicted from the given ones, not from other predictions, so
  that the uncertainty of each is measured at its own distance in time.

  Args:
    key: One key.
    clip: The clip.
    num_frames: Number of frames to predict.
    backward: Whether to predict the frames before the first, instead of those
      after the last.
    num_samples: Number K of samples, which may be 0.
    progress: Whether to show a progress bar.

  Returns:
    The predicted frames, in the order of time.

  Raises:
    ValueError: If an argument is out of range.
  """
  arrays.check_in_range('num_frames', num_frames, 1, len(clip))
  arrays.check_in_range('num_samples', num_samples, 0, 1000)
  if backward:
    clip = Clip(clip.pixels[::-1], clip.rate)
  last = len(clip) - 1
  used = [last - i for i in range(min(_NUM_USED, len(clip)))]
  wanted = [(float(last + step), used) for step in range(1, num_frames + 1)]
  found = estimate_frames(
    key,
    clip,
    range(len(clip)),
    wanted,
    num_samples=num_samples,
    rate=clip.rate,
    most_flicker=flicker(clip.frames()),
    progress=progress,
  )
  if not backward:
    return found
  return found._replace(
    mean=np.flip(found.mean, 0),
    std=np.flip(found.std, 0),
    samples=np.flip(found.samples, 1),
  )
