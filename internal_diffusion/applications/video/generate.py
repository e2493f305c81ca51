"""New clips from the space-time patches of one clip.

Sampling goes from coarse to fine through the pyramid. The coarsest level begins
with as much noise as signal on the clip's mean frame: the mean keeps what
stands still in its place, and the noise decides what moves, and how. The mean
can be stretched and repeated, so a new clip may have any length and any size.
At last, what flickers more than the clip does is averaged along the motion.
"""

import math
from collections.abc import Sequence

import jax
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.images.inference import (
  fitting_pixels,
  memory,
)
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.prior import (
  PATCH_SHAPE,
  ClipPrior,
  ClipSize,
  level_sizes,
  make_clip_prior,
)
from internal_diffusion.applications.video.progress import make_bar
from internal_diffusion.applications.video.steady import flicker, steady
from internal_diffusion.data.clip_io import Clip
from internal_diffusion.data.resampling import resample
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import coarse_to_fine
from internal_diffusion.sampling.constraints import Constraint
from internal_diffusion.sampling.wrapping import WrappedTime

Array = jax.Array

_START_SIGMA = 1.0  # Noise level on the mean frame at the coarsest level.
_PRIOR_PART = 0.1  # Of the time, for the bar.
_STEPS_PART = 0.8  # Of the time of a new clip.


@with_own_settings
def generate(
  key: Array,
  clip: Clip,
  *,
  num_frames: int | None = None,
  size: tuple[int, int] | None = None,
  loop: bool = False,
  num_samples: int = 1,
  num_steps: int = 6,
  prior: ClipPrior | None = None,
  progress: bool = False,
) -> Filmed:
  """Makes new clips.

  Args:
    key: One key.
    clip: The clip.
    num_frames: Number of frames of a new clip; None is the clip's.
    size: (H, W) of the new clips; None is the clip's.
    loop: Whether the last frame leads to the first.
    num_samples: Number K of new clips.
    num_steps: Number of steps of a level. The coarsest has four times as many,
      the finest half.
    prior: From `make_clip_prior`; None makes one.
    progress: Whether to show a progress bar.

  Returns:
    The new clips as samples; their mean and standard deviation over samples.

  Raises:
    ValueError: If an argument is not valid.
  """
  arrays.check_in_range('num_samples', num_samples, 1, 1000)
  size = clip.size if size is None else size
  length = len(clip) if num_frames is None else num_frames
  channels = clip.pixels.shape[-1]
  for side in (length, *size):
    arrays.check_positive_int('size', side)
  _check_memory((length, *size), channels)
  coarse_to_fine.linear_flow_sigmas(num_steps)  # Checks the number.
  whole = (length, *size)
  if prior is None:
    sizes = level_sizes(whole, clip)
  else:
    sizes = prior.level_sizes(whole)
  with make_bar(1.0, 'clips', progress=progress) as bar:
    if prior is None:
      prior = make_clip_prior(clip)
      bar.update(_PRIOR_PART)
    constraints: list[Constraint] = [WrappedTime()] if loop else []
    start = _mean_frame(clip, sizes[-1])
    wanted = flicker(clip.frames())
    # Of a new clip, steps take one part of the time, and less flicker the rest.
    of_one = (1 - bar.n) / num_samples
    of_pixel = _STEPS_PART * of_one / _work(prior, sizes, num_steps)
    samples = []
    for index in range(num_samples):
      made = coarse_to_fine.sample_levels(
        jax.random.fold_in(key, index),
        prior.levels,
        sizes,
        num_channels=channels,
        num_steps=num_steps,
        start=start,
        constraints=constraints,
        on_step=lambda num: bar.update(of_pixel * num),
      )
      frames = np.asarray(made[0])[0].clip(-1, 1)
      samples.append(steady(frames, wanted, loop=loop).clip(-1, 1))
      bar.update((1 - _STEPS_PART) * of_one)
  answers = np.stack(samples)
  found = {'level_sizes': [list(own) for own in sizes], 'loop': loop}
  return Filmed(
    answers.mean(axis=0),
    answers.std(axis=0).mean(axis=-1),
    answers,
    clip.rate,
    found,
  )


def _check_memory(size: ClipSize, num_channels: int) -> None:
  """Raises ValueError for a clip beyond the memory."""
  length, height, width = size
  most = fitting_pixels(num_channels)
  if math.prod(size) <= most:
    return
  shrink = math.sqrt(most / math.prod(size))
  smaller = int(height * shrink), int(width * shrink)
  fitting = most // (height * width)
  possible = []
  if fitting >= PATCH_SHAPE[0]:
    possible.append(f'{fitting} frames of this size')
  if min(smaller) >= max(PATCH_SHAPE):
    possible.append(f'{length} frames of {smaller[0]}x{smaller[1]}')
  raise ValueError(
    f'`num_frames` {length} of `size` {height}x{width} need more than the'
    f' {memory() / 2**30:.0f} GiB of memory here;'
    f' {" or ".join(possible) or "fewer and smaller frames"} would fit.'
  )


def _work(prior: ClipPrior, sizes: Sequence[ClipSize], num_steps: int) -> float:
  """Number of steps of all levels, each times the pixels of its level."""
  steps = [
    coarse_to_fine.num_steps_of(level, num_steps) for level in prior.levels
  ]
  return sum(
    num * math.prod(size) for num, size in zip(steps, sizes, strict=True)
  )


def _mean_frame(clip: Clip, size: tuple[int, ...]) -> coarse_to_fine.Start:
  """The mean frame, as a clip of the size of the coarsest level."""
  mean = np.asarray(resample(clip.frames().mean(axis=0), size[1:]))
  return coarse_to_fine.Start(np.repeat(mean[None], size[0], 0), _START_SIGMA)
