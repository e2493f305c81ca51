"""Constraints against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import jpeg
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.pointwise import Identity
from internal_diffusion.data.resampling import Border, resample
from internal_diffusion.sampling import constraints, samplers
from internal_diffusion.sampling.constraints import (
  LinearObservation,
  MirrorSymmetry,
  QuantisationCells,
  make_low_band,
)

KEY = jax.random.key(0)
IMAGE = jax.random.normal(KEY, (1, 24, 36, 3))
SIGMAS = jnp.array([2.0, 1.0, 0.5, 0.0])


def project(constraint, image, sigma=1.0):
  return constraint.project(KEY, image, image, sigma)


def test_an_image_of_the_same_low_band_is_left_alone():
  low_band = make_low_band(resample(IMAGE, (12, 18)), (24, 36))
  np.testing.assert_allclose(project(low_band, IMAGE), IMAGE, atol=1e-5)


@pytest.mark.parametrize('border', Border)
def test_the_low_band_comes_from_the_coarse_image(border):
  coarse = jnp.full((1, 12, 18, 3), 0.25)
  low_band = make_low_band(coarse, (24, 36), sigma_min=0.1, border=border)
  kept = project(low_band, IMAGE)
  # The detail is the image's own, the mean is the coarse image's.
  low = resample(IMAGE, (12, 18), border=border)
  low = resample(low, (24, 36), border=border)
  np.testing.assert_allclose(kept - 0.25, IMAGE - low, atol=1e-5)
  np.testing.assert_array_equal(project(low_band, IMAGE, 0.1), IMAGE)


def test_a_low_band_is_carried_to_other_sizes():
  smooth = resample(IMAGE[:, ::6, ::6], (24, 36))
  low_band = make_low_band(resample(smooth, (12, 18)), (24, 36))
  for size, coarse_size in [((48, 72), (12, 18)), ((8, 12), (8, 12))]:
    carried = low_band.at_size(size)
    assert carried.coarse.shape == (1, *coarse_size, 3)
    # The same image at this size has the low band already.
    image = resample(smooth, size)
    np.testing.assert_allclose(project(carried, image), image, atol=0.1)


def test_a_linear_observation_holds_in_the_sample():
  operator = make_downscaling((12, 18), (24, 36))
  observation = operator.apply(IMAGE)[0]
  found = samplers.sample_heun(
    KEY,
    lambda x, sigma: x / (1 + sigma**2),
    2 * jax.random.normal(KEY, IMAGE.shape),
    SIGMAS,
    constraints=[LinearObservation(operator, observation)],
  )
  np.testing.assert_allclose(operator.apply(found)[0], observation, atol=1e-4)


def test_a_linear_observation_changes_the_image_least():
  operator = make_downscaling((6, 9), (24, 36))
  observation = LinearObservation(operator, jnp.zeros((6, 9, 3)))
  change = project(observation, IMAGE) - IMAGE
  # The smallest change has nothing in the null space of A: it is A^T of
  # something, hence orthogonal to every z with A z = 0.
  null = project(observation, jax.random.normal(jax.random.key(1), IMAGE.shape))
  cosine = jnp.vdot(change, null) / jnp.linalg.norm(change.ravel())
  assert abs(cosine / jnp.linalg.norm(null.ravel())) < 1e-4


def test_an_observation_is_carried_to_other_sizes():
  smooth = resample(IMAGE[:, ::6, ::6], (24, 36))
  operator = make_downscaling((12, 18), (24, 36))
  observation = LinearObservation(operator, operator.apply(smooth))
  half = observation.at_size((8, 12))
  np.testing.assert_allclose(
    half.observation, resample(smooth, (8, 12)), atol=0.1
  )
  np.testing.assert_allclose(
    project(half, jnp.zeros((1, 8, 12, 3))), half.observation, atol=1e-5
  )


def test_a_noisy_observation_is_weighed_against_the_estimate():
  y = jax.random.normal(jax.random.key(1), IMAGE.shape[1:])
  seen = LinearObservation(Identity((24, 36)), y, noise_std=0.5)
  for sigma, share in [(0.0, 0.0), (0.5, 0.5), (1.0, 0.8)]:
    found = project(seen, IMAGE, sigma)
    np.testing.assert_allclose(
      found, (1 - share) * IMAGE + share * y[None], atol=1e-5
    )


def test_noise_of_each_pixel_is_carried_to_other_sizes():
  noise_std = jnp.full((24, 36, 1), 0.3)
  seen = LinearObservation(Identity((24, 36)), IMAGE[0], noise_std, 5)
  half = seen.at_size((12, 18))
  np.testing.assert_allclose(
    half.noise_std, jnp.full((12, 18, 1), 0.3), atol=1e-5
  )
  assert half.num_steps == 5


def test_cells_hold_and_become_an_observation_at_other_sizes():
  image = jnp.tanh(resample(IMAGE[:, ::6, ::6], (24, 36)))
  cells = jpeg.encode_cells(image[0], quality=50)
  seen = QuantisationCells(cells)
  assert seen.at_size((24, 36)) is seen
  found = project(seen, image + 0.3, 0.0)
  np.testing.assert_allclose(found, cells.project(image + 0.3), atol=1e-6)
  half = seen.at_size((12, 18))
  error = half.observation - resample(image[0], (12, 18))
  assert float(jnp.std(error)) < float(half.noise_std)


@pytest.mark.parametrize('axis', [0, 1])
def test_mirror_symmetry_of_image_and_noise(axis):
  symmetry = MirrorSymmetry(axis)
  found = project(symmetry, IMAGE)
  np.testing.assert_array_equal(found, jnp.flip(found, 1 + axis))
  np.testing.assert_allclose(
    found, (IMAGE + jnp.flip(IMAGE, 1 + axis)) / 2, atol=1e-6
  )
  noise = symmetry.project_noise(jax.random.normal(KEY, (1, 300, 300, 1)))
  np.testing.assert_array_equal(noise, jnp.flip(noise, 1 + axis))
  assert noise.var() == pytest.approx(1, abs=0.02)


def test_constraints_follow_each_other():
  halves = [MirrorSymmetry(1), MirrorSymmetry(0)]
  found = constraints.project(KEY, IMAGE, IMAGE, 1.0, halves)
  np.testing.assert_allclose(
    found, project(halves[1], project(halves[0], IMAGE)), atol=1e-6
  )
