"""Images and a small model that the tests of super-resolution share."""

import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications.super_resolution import learn_upscaler
from internal_diffusion.data.downscaling import make_downscaling
from tests.applications.super_resolution import small


@pytest.fixture(scope='session')
def truth():
  # Hard edges at every angle.
  blobs = skimage.data.binary_blobs(384, blob_size_fraction=0.15, rng=0)
  plane = blobs.astype(np.float32).reshape(96, 4, 96, 4).mean(axis=(1, 3))
  return 0.6 * plane[..., None] - 0.3


@pytest.fixture(scope='session')
def image(truth):
  size = tuple(side // 2 for side in truth.shape[:2])
  downscaling = make_downscaling(size, truth.shape[:2])
  return np.asarray(downscaling.apply(truth)).clip(-1, 1)


@pytest.fixture(scope='session')
def colours():
  pixels = skimage.data.astronaut()[70:102, 200:236]
  return pixels.astype(np.float32) / 127.5 - 1


@pytest.fixture(scope='session')
def upscaler(image):
  return learn_upscaler(image, small.options())
