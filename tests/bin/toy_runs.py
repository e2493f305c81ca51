"""Runs of the toy command, and the files that they read and leave."""

import numpy as np

from internal_diffusion.data import image_io
from tests.bin import commands, toy


def run(*arguments, **options):
  """Runs the toy anew, as `commands.run_function` does."""
  toy.reset()
  return commands.run_function(toy.run, *arguments, **options)


def write(path, value=0.0):
  """Writes a picture of one value, and returns its path."""
  image_io.write_image(path, np.full((6, 8, 3), value, np.float32))
  return path


def content(folder):
  """All files of a folder by relative path, with their bytes."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }
