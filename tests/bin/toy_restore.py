"""Fast restorations that the tests of idiff-restore share."""

import sys
from unittest import mock

import numpy as np
import skimage.data

from internal_diffusion.applications.restoration import Restored, Task
from internal_diffusion.data import image_io
from tests.bin import commands

RESTORE = 'internal_diffusion.applications.restoration.restore'
PHOTO = (2 * skimage.data.coffee()[100:340:10, 100:400:10] / 255.0 - 1).astype(
  np.float32
)  # 24x30 pixels.


def fake(key, given, options, progress):
  """Stands for any task: what it returns is easy to recognise."""
  image = given.image.clip(-1, 1)
  if options.task is Task.COLORIZE:
    image = image.mean(-1, keepdims=True).repeat(3, -1)
  found = {} if options.sigma is None else {'sigma': options.sigma}
  samples = (
    np.stack([image] * options.num_samples)
    if options.num_samples
    else np.zeros((0, *image.shape), np.float32)
  )
  return Restored(
    mean=image,
    std=np.full_like(image, 0.1),
    low=image - 0.2,
    high=image + 0.2,
    samples=samples,
    found=found,
  )


def replaced_tasks(**replacements):
  """Replaces each task by `fake`, or by another function, while entered."""
  tasks = sys.modules[RESTORE]._TASKS
  chosen = dict.fromkeys(tasks, fake)
  chosen |= {Task(name): task for name, task in replacements.items()}
  return mock.patch.dict(tasks, chosen)


def run(*arguments):
  return commands.run('restore', *arguments)


def save(path, image, **options):
  image_io.write_image(path, image, **options)
  return path
