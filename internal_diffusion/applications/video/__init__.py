"""New frames and new clips from one clip, without training.

Example:
  >>> import jax
  >>> import numpy as np
  >>> from internal_diffusion.applications.video import film, VideoOptions
  >>> from internal_diffusion.data import make_clip
  >>> bright = np.linspace(-1, 1, 24)[None, :] + np.zeros((24, 1))
  >>> frames = np.stack([np.roll(bright, t, axis=1) for t in range(5)])
  >>> clip = make_clip(frames[..., None])
  >>> options = VideoOptions('interpolate', at=2, num_samples=0)
  >>> film(jax.random.key(0), clip, options).mean.shape
  (1, 24, 24, 1)
"""

from internal_diffusion.applications.video.fill import fill
from internal_diffusion.applications.video.film import film
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.generate import generate
from internal_diffusion.applications.video.interpolate import interpolate
from internal_diffusion.applications.video.motion import find_motion
from internal_diffusion.applications.video.options import Task, VideoOptions
from internal_diffusion.applications.video.predict import predict
from internal_diffusion.applications.video.prior import (
  ClipPrior,
  make_clip_prior,
)
from internal_diffusion.applications.video.upscale import upscale

__all__ = [
  'ClipPrior',
  'Filmed',
  'Task',
  'VideoOptions',
  'fill',
  'film',
  'find_motion',
  'generate',
  'interpolate',
  'make_clip_prior',
  'predict',
  'upscale',
]
