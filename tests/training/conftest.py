"""A small photograph and a configuration that trains in seconds."""

import numpy as np
import pytest
import skimage.data
import skimage.transform

from internal_diffusion.configs import default


@pytest.fixture(scope='session')
def image():
  photograph = skimage.data.coffee()[:200, :300]
  small = skimage.transform.resize(photograph, (32, 48), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)


@pytest.fixture
def config():
  config = default.get_config()
  config.pyramid.min_side = 12
  config.patch_size = 5
  config.network.width = 32
  config.network.depth = 1
  config.network.embedding_dim = 16
  config.batch_size = 32
  config.num_references = 64
  config.num_devices = 1
  config.num_steps = 20
  config.steps_per_call = 5
  config.checkpoint.every_steps = 5
  config.optimizer.warmup_steps = 5
  return config
