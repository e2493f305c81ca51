"""A small synthetic picture for the tests of restoration."""

import numpy as np

SIZE = (32, 36)


def make_picture(num_channels=1, *, shift=0.0):
  """A ramp, a disc and stripes, [32, 36, C] in [-1, 1]."""
  row, column = np.indices(SIZE) / 32
  ramp = 0.6 * (row + column) - 0.6
  disc = np.hypot(row - 0.4 - shift, column - 0.45) < 0.25
  stripes = 0.3 * np.sin(2 * np.pi * column / 0.25) * (row > 0.65)
  grey = np.where(disc, 0.7, ramp) + stripes
  tints = np.array([1.0, 0.7, 0.4])[:num_channels]
  return np.clip(grey[..., None] * tints, -1, 1).astype(np.float32)


def make_noise(grey_levels, num_channels=1, *, seed=0):
  """White noise of a standard deviation in grey levels of 255."""
  noise = np.random.default_rng(seed).standard_normal((*SIZE, num_channels))
  return (2 * grey_levels / 255 * noise).astype(np.float32)


def psnr(image, clean):
  """Peak signal-to-noise ratio in dB, of values beyond [-1, 1] too."""
  error = np.asarray(image, np.float64) - clean
  return 10 * np.log10(4 / np.mean(error**2))
