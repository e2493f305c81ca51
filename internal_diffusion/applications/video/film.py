"""The task of the options, done with a clip."""

import jax
import numpy as np

from internal_diffusion.applications.video.fill import fill
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.generate import generate
from internal_diffusion.applications.video.interpolate import interpolate
from internal_diffusion.applications.video.options import Task, VideoOptions
from internal_diffusion.applications.video.predict import predict
from internal_diffusion.applications.video.upscale import upscale
from internal_diffusion.data.clip_io import Clip
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_NUM_PREDICTED = 8
_FACTOR = 2.0


@with_own_settings
def film(
  key: Array,
  clip: Clip,
  options: VideoOptions | None = None,
  *,
  mask: np.ndarray | None = None,
  progress: bool = False,
) -> Filmed:
  """Makes new frames, or a new clip, of a clip.

  Args:
    key: One key.
    clip: The clip.
    options: Task and its options; None interpolates.
    mask: Holes of `fill`, [H, W] or [T, H, W], True in the holes.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If an argument is not valid.
  """
  options = VideoOptions() if options is None else options
  if (mask is not None) != (options.task is Task.FILL):
    raise ValueError(
      f'`mask` is for `task=fill`, which needs it; got `task={options.task}`'
      f' {"without" if mask is None else "with"} a mask.'
    )
  num_samples = options.num_samples
  factor = _FACTOR if options.factor is None else options.factor
  match options.task:
    case Task.INTERPOLATE:
      return interpolate(
        key,
        clip,
        at=options.at,
        factor=int(factor),
        num_samples=num_samples,
        progress=progress,
      )
    case Task.PREDICT:
      return predict(
        key,
        clip,
        num_frames=options.num_frames or min(_NUM_PREDICTED, len(clip)),
        backward=options.backward,
        num_samples=num_samples,
        progress=progress,
      )
    case Task.FILL:
      assert mask is not None
      return fill(key, clip, mask, num_samples=num_samples, progress=progress)
    case Task.UPSCALE:
      return upscale(
        key,
        clip,
        factor=factor,
        num_samples=num_samples,
        progress=progress,
      )
    case Task.GENERATE:
      return generate(
        key,
        clip,
        num_frames=options.num_frames,
        size=options.size,
        loop=options.loop,
        num_steps=options.num_steps,
        num_samples=num_samples,
        progress=progress,
      )
