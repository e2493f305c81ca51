"""A small photograph, and options that train on it in an instant."""

import numpy as np
import pytest
import skimage.data
import skimage.transform

from internal_diffusion.applications import patches
from internal_diffusion.options import replace

SMALL = {
  'patch_size': 5,
  'pyramid': {'min_side': 12},
  'network': {'width': 16, 'depth': 1, 'embedding_dim': 8},
  'batch_size': 32,
  'num_references': 64,
  'num_devices': 1,
  'num_steps': 6,
  'steps_per_call': 3,
  'optimizer': {'warmup_steps': 5},
  'sampling': {'num_steps': 3},
}


@pytest.fixture(scope='session')
def image():
  photograph = skimage.data.coffee()[:200, :300]
  small = skimage.transform.resize(photograph, (32, 48), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)


@pytest.fixture(scope='session')
def options():
  return replace(patches.PatchOptions(), **SMALL)


@pytest.fixture(scope='session')
def model(image, options):
  return patches.learn_patches(image, options)
