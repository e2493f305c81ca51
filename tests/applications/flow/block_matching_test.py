"""Block matching as a posterior."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from internal_diffusion.applications.flow import block_matching
from internal_diffusion.sampling import moments

BLOCK, REACH = 5, 2
SIDE = block_matching.patch_size_of(BLOCK, REACH)


@pytest.fixture(scope='module')
def model():
  return block_matching.make_block_matching(
    block_size=BLOCK, reach=REACH, steps_per_pixel=2
  )


@pytest.fixture(scope='module')
def picture():
  noise = np.random.default_rng(0).standard_normal((60, 60))
  return scipy.ndimage.gaussian_filter(noise, 1.5).astype(np.float32)


def patch(picture, row, column):
  cut = picture[row : row + SIDE, column : column + SIDE]
  return jnp.asarray(cut.reshape(1, -1))


def moments_of(model, vector):
  return moments.mean_and_covariance(
    functools.partial(model.denoise, vector=vector),
    num=len(vector),
    dim=2,
    sigma_max=200.0,
  )


@pytest.mark.parametrize('delta', [(0, 0), (1, 0), (0, -2), (2, 1)])
def test_finds_the_displacement_of_a_patch(model, picture, delta):
  x, y = delta
  vector = model.encode(
    patch(picture, 20, 20),
    patch(picture, 20 + y, 20 + x),
    jnp.full(1, 0.003),
  )
  mean, covariance = moments_of(model, vector)
  np.testing.assert_allclose(mean[0], delta, atol=0.02)
  assert np.trace(covariance[0]) < 0.2


def test_a_flat_patch_leaves_the_prior(model):
  flat = jnp.zeros((1, SIDE**2))
  vector = model.encode(flat, flat, jnp.full(1, 0.01))
  mean, covariance = moments_of(model, vector)
  np.testing.assert_allclose(mean[0], 0, atol=1e-3)
  np.testing.assert_allclose(
    covariance[0], model.stddev**2 * np.eye(2), atol=2e-3
  )


def test_along_an_edge_only_one_component_is_known(model):
  column = np.tanh((np.arange(SIDE) - SIDE // 2) / 2).astype(np.float32)
  edge = jnp.asarray(np.tile(column, (SIDE, 1)).reshape(1, -1))
  vector = model.encode(edge, edge, jnp.full(1, 0.02))
  _, covariance = moments_of(model, vector)
  assert covariance[0, 0, 0] < 0.2 * covariance[0, 1, 1]


def test_it_is_the_posterior_over_the_grid(model, picture):
  source, target = patch(picture, 10, 10), patch(picture, 12, 11)
  vector = model.encode(source, target, jnp.full(1, 0.05))
  x, sigma = jnp.array([[0.4, -0.7]]), 0.3
  found = model.denoise(x, jnp.float32(sigma), vector)
  noise, cell = sigma**2, float(model.cell) ** 2
  log_weight = np.asarray(vector[0], np.float64) - np.sum(
    np.square(np.asarray(x - model.displacements)), axis=-1
  ) / (2 * (noise + cell))
  weight = np.exp(log_weight - log_weight.max())
  each = (noise * model.displacements + cell * x) / (noise + cell)
  exact = weight @ each / weight.sum()
  np.testing.assert_allclose(found[0], exact, atol=1e-4)
