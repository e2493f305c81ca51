"""Super-resolution through the loop of restoration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications.restoration import upscale_by_splitting
from internal_diffusion.data.downscaling import make_downscaling

KEY = jax.random.key(0)


def test_beats_interpolation_and_keeps_the_given_picture():
  truth = 2 * skimage.data.coffee()[100:228, 200:328] / np.float32(255) - 1
  downscaling = make_downscaling((64, 64), (128, 128))
  low = np.asarray(downscaling.apply(truth)).clip(-1, 1)
  found = upscale_by_splitting(KEY, low, factor=2)
  assert found.shape == truth.shape
  bicubic = np.asarray(downscaling.interpolate(jnp.asarray(low)))
  errors = [np.mean((image - truth) ** 2) for image in (found, bicubic)]
  assert errors[0] < 0.92 * errors[1]
  back = np.asarray(downscaling.apply(found))
  assert np.sqrt(np.mean((back - low) ** 2)) < 0.5 * 2 / 255


def test_a_grey_picture_and_a_factor_between_whole_numbers():
  low = np.zeros((20, 30, 1), np.float32)
  found = upscale_by_splitting(KEY, low, factor=1.5)
  assert found.shape == (30, 45, 1)
  np.testing.assert_allclose(found, 0, atol=1e-4)


def test_a_bad_factor():
  with pytest.raises(ValueError, match='factor'):
    upscale_by_splitting(KEY, np.zeros((20, 30, 1), np.float32), factor=1)
