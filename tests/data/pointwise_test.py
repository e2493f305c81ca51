"""Identity, mask and luminance against their definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data.pointwise import (
  Identity,
  Luminance,
  make_masking,
)


def random(*shape, seed=0):
  values = np.random.default_rng(seed).uniform(-1, 1, size=shape)
  return jnp.asarray(values, jnp.float32)


def test_prox_of_the_identity_is_the_mean_weighted_by_precision():
  denoised, y = random(4, 5, 2), random(4, 5, 2, seed=1)
  found = Identity((4, 5)).prox(denoised, y, noise_std=0.1, sigma=0.2)
  np.testing.assert_allclose(found, (denoised + 4 * y) / 5, atol=1e-6)


def test_seen_pixels_return_exactly_and_others_are_left_alone():
  seen = np.random.default_rng(0).random((6, 7)) < 0.5
  mask = make_masking(seen)
  image, denoised = random(6, 7, 3), random(6, 7, 3, seed=1)
  y = mask.apply(image)
  assert not np.any(np.asarray(y)[~seen])
  found = np.asarray(mask.back_project(denoised, y))
  np.testing.assert_allclose(found[seen], image[seen], atol=1e-7)
  np.testing.assert_array_equal(found[~seen], denoised[~seen])
  # What an observation holds where nothing was seen is of no account.
  noise = jnp.where(seen[..., None], y, 5.0)
  np.testing.assert_array_equal(mask.back_project(denoised, noise), found)


def test_missing_pixels_are_filled_between_the_seen_ones():
  seen = np.random.default_rng(0).random((40, 50)) < 0.5
  ramp = jnp.asarray(np.linspace(-1, 1, 40 * 50), jnp.float32)
  image = jnp.stack([ramp.reshape(40, 50), ramp.reshape(50, 40).T], axis=-1)
  mask = make_masking(seen)
  filled = np.asarray(mask.interpolate(mask.apply(image)))
  np.testing.assert_allclose(filled[seen], image[seen], atol=1e-6)
  assert np.abs(filled - image).max() < 0.1


def test_a_coarser_mask_sees_what_was_mostly_seen():
  seen = np.ones((16, 16), bool)
  seen[4:12, 4:12] = False
  coarse = np.asarray(make_masking(seen).at_size((8, 8)).seen)[..., 0]
  wanted = np.ones((8, 8), bool)
  wanted[2:6, 2:6] = False
  np.testing.assert_array_equal(coarse, wanted)


def test_luma_of_grey_is_grey_and_its_change_is_along_the_weights():
  grey = random(4, 5, 1)
  luma = Luminance((4, 5))
  image = luma.interpolate(grey)
  np.testing.assert_allclose(luma.apply(image), grey, atol=1e-6)
  denoised = random(4, 5, 3, seed=1)
  change = luma.back_project(denoised, grey) - denoised
  weights = jnp.array([0.299, 0.587, 0.114])
  ratio = change / weights[None, None]
  np.testing.assert_allclose(ratio, ratio[..., :1].repeat(3, -1), atol=1e-5)


def test_wrong_masks_and_images_are_refused():
  with pytest.raises(ValueError, match=r'`seen` must be booleans.*float64'):
    make_masking(np.ones((3, 3)))
  with pytest.raises(ValueError, match=r'`seen`.*\(3,\)'):
    make_masking(np.ones(3, bool))
  with pytest.raises(ValueError, match=r'`seen`.*only missing'):
    make_masking(np.zeros((3, 3), bool))
  with pytest.raises(ValueError, match=r'`image` must have 3 channels'):
    Luminance((3, 3)).apply(jnp.zeros((3, 3, 1)))
