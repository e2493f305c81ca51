"""Noise levels and constraints of going from coarse to fine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import pyramid
from internal_diffusion.sampling import coarse_to_fine

IMAGE = jax.random.normal(jax.random.key(0), (1, 24, 36, 3))


def test_levels_are_even_times_of_the_linear_flow():
  sigmas = coarse_to_fine.linear_flow_sigmas(10)
  assert len(sigmas) == 11
  assert sigmas[0] == pytest.approx(100)
  assert sigmas[-1] == 0
  assert (np.diff(sigmas) < 0).all()
  # sigma / (1 + sigma) is the time.
  time = sigmas[:-2] / (1 + sigmas[:-2])
  wanted = np.arange(9, 0, -1) / 9 * 100 / 101
  np.testing.assert_allclose(time, wanted, rtol=1e-6)


def test_too_few_steps():
  with pytest.raises(ValueError, match='at least 2'):
    coarse_to_fine.linear_flow_sigmas(1)


def test_an_image_of_the_same_low_band_is_left_alone():
  coarse = pyramid.resample(IMAGE, (12, 18))
  project_fn = coarse_to_fine.keep_low_band(coarse, sigma_min=0.1)
  kept = project_fn(jax.random.key(0), IMAGE, 1.0)
  np.testing.assert_allclose(kept, IMAGE, atol=1e-5)


def test_the_low_band_comes_from_the_coarse_image():
  coarse = jnp.full((1, 12, 18, 3), 0.25)
  project_fn = coarse_to_fine.keep_low_band(coarse, sigma_min=0.1)
  kept = project_fn(jax.random.key(0), IMAGE, 1.0)
  # The detail is the image's own, the mean is the coarse image's.
  low = pyramid.resample(pyramid.resample(IMAGE, (12, 18)), (24, 36))
  np.testing.assert_allclose(kept - 0.25, IMAGE - low, atol=1e-5)
  untouched = project_fn(jax.random.key(0), IMAGE, 0.1)
  np.testing.assert_array_equal(untouched, IMAGE)


def test_resizing_on_a_torus_commutes_with_shifts():
  def roll(x, rows, columns):
    return jnp.roll(x, (rows, columns), (1, 2))

  found = coarse_to_fine.resize_torus(roll(IMAGE, 6, 10), (12, 18))
  wanted = roll(coarse_to_fine.resize_torus(IMAGE, (12, 18)), 3, 5)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_constraints_follow_each_other_and_symmetry_is_exact():
  assert coarse_to_fine.all_of([]) is None
  project_fn = coarse_to_fine.all_of(
    [lambda key, x, sigma: x + 1, coarse_to_fine.keep_symmetric(2)]
  )
  found = project_fn(jax.random.key(0), IMAGE, 1.0)
  np.testing.assert_array_equal(found, jnp.flip(found, 2))
  np.testing.assert_allclose(
    found, (IMAGE + jnp.flip(IMAGE, 2)) / 2 + 1, atol=1e-6
  )
