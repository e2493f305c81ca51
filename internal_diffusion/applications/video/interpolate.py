"""New frames between those of a clip."""

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.frames_at import estimate_frames
from internal_diffusion.applications.video.motion import find_motion
from internal_diffusion.data.clip_io import Clip

Array = jax.Array

_WINDOW = 4.0  # Of the motion that tells how long a step is, in pixels.
_MISSING = 1.4  # Ratio of a step to its neighbours where a frame is missing.
_VISIBLE = 0.02  # Difference of brightness that counts as motion.
_LEAST_SPEED = 0.1  # In pixels per frame, below which steps look alike.


def interpolate(
  key: Array,
  clip: Clip,
  *,
  at: int | None = None,
  factor: int = 2,
  num_samples: int = 4,
  progress: bool = False,
) -> Filmed:
  """Estimates frames between those of a clip, with samples and uncertainty.

  Args:
    key: One key.
    clip: The clip.
    at: Number of a single new frame, which comes between the given frames
      at - 1 and at, counted from 0; None makes all new frames.
    factor: Frames of the result for each of the clip's, at least 2, without
      `at`.
    num_samples: Number K of samples, which may be 0.
    progress: Whether to show a progress bar.

  Returns:
    One frame with `at`; else all frames, of which every `factor`-th is given.

  Raises:
    ValueError: If an argument is out of range.
  """
  arrays.check_in_range('num_samples', num_samples, 0, 1000)
  if at is not None:
    return _single(key, clip, at, num_samples, progress=progress)
  arrays.check_in_range('factor', factor, 2, 64)
  times = range(len(clip))
  wanted = []
  for index in range((len(clip) - 1) * factor + 1):
    before, part = divmod(index, factor)
    if part == 0:
      wanted.append((float(before), [before]))
    else:
      time = before + part / factor
      wanted.append((time, _around(time, list(times))))
  return estimate_frames(
    key,
    clip,
    times,
    wanted,
    num_samples=num_samples,
    rate=factor * clip.rate,
    progress=progress,
  )


def _single(
  key: Array, clip: Clip, at: int, num_samples: int, *, progress: bool
) -> Filmed:
  if not 1 <= at <= len(clip) - 1:
    raise ValueError(
      f'`at` must be from 1 to {len(clip) - 1}, between two of the'
      f' {len(clip)} frames, got {at}.'
    )
  missing = step_length(clip, at) > _MISSING
  times = [index + (missing and index >= at) for index in range(len(clip))]
  time = float(at) if missing else at - 0.5
  found = estimate_frames(
    key,
    clip,
    times,
    [(time, _around(time, times))],
    num_samples=num_samples,
    rate=clip.rate,
    progress=progress,
  )
  return found._replace(found={'frame_was_missing': bool(missing)})


def step_length(clip: Clip, at: int) -> float:
  """The step from frame at - 1 to frame at over the steps beside it.

  About 2 where the clip lacks a frame there. It is the ratio of the motion, or
  of the difference of the frames where hardly anything moves; 1 if there is no
  step beside it.
  """
  steps = [at + i for i in (-2, -1, 0, 1, 2) if 1 <= at + i < len(clip)]
  if len(steps) < 2:
    return 1.0
  length = {}
  for step in steps:
    first, second = clip.frame(step - 1), clip.frame(step)
    velocity = find_motion(first, second, times=(-0.5, 0.5), window=_WINDOW)
    moves = np.abs(second - first).mean(axis=-1) > _VISIBLE
    speed = np.linalg.norm(velocity, axis=-1)
    length[step] = float(speed[moves].mean()) if moves.any() else 0.0
  beside = np.median([length[step] for step in steps if step != at])
  return length[at] / max(float(beside), _LEAST_SPEED)


def _around(time: float, times: list[int]) -> list[int]:
  """Known times: the nearest before and after, then those beyond."""
  before = sorted((t for t in times if t < time), reverse=True)
  after = sorted(t for t in times if t > time)
  first = sorted([before[0], after[0]], key=lambda t: abs(t - time))
  return first + before[1:2] + after[1:2]
