"""Fields against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.flow import field, small_matrices
from internal_diffusion.applications.flow.field import (
  FieldPosterior,
  FieldPrior,
)

SIZE = (5, 6)
PRIOR = FieldPrior(
  smoothness=0.5,
  softness=0.01,
  edge_contrast=0.1,
  slope_scale=3.0,
  slope_contrast=0.1,
)


@pytest.fixture(scope='module')
def posterior():
  rng = np.random.default_rng(0)
  root = rng.normal(size=(*SIZE, 2, 2))
  along_x, along_y = rng.uniform(0.5, 2, (2, *SIZE))
  along_x[:, -1], along_y[-1] = 0, 0
  precision = root @ np.swapaxes(root, -1, -2)
  return FieldPosterior(
    jnp.asarray(rng.normal(size=(*SIZE, 2)), jnp.float32),
    *(jnp.asarray(x, jnp.float32) for x in (precision, along_x, along_y)),
  )


def dense_precision(posterior):
  """The precision matrix of the whole field."""
  num = SIZE[0] * SIZE[1]
  index = np.arange(num).reshape(SIZE)
  matrix = np.zeros((num, 2, num, 2))
  for pixel, block in enumerate(
    np.asarray(posterior.precision).reshape(-1, 2, 2)
  ):
    matrix[pixel, :, pixel] += block
  links = (
    (index[:, :-1], index[:, 1:], posterior.along_x[:, :-1]),
    (index[:-1], index[1:], posterior.along_y[:-1]),
  )
  for ones, others, weights in links:
    flat = (np.ravel(x) for x in (ones, others, weights))
    for one, other, weight in zip(*flat, strict=True):
      for axis in range(2):
        matrix[one, axis, one, axis] += weight
        matrix[other, axis, other, axis] += weight
        matrix[one, axis, other, axis] -= weight
        matrix[other, axis, one, axis] -= weight
  return matrix.reshape(2 * num, 2 * num)


def test_samples_have_the_covariance_of_the_field(posterior):
  samples = field.sample_fields(jax.random.key(0), posterior, num_samples=4000)
  offsets = np.asarray(samples - posterior.mean[None]).reshape(4000, -1)
  found = offsets.T @ offsets / 4000
  exact = np.linalg.inv(dense_precision(posterior))
  np.testing.assert_allclose(found, exact, atol=0.1 * np.abs(exact).max())


def test_without_smoothness_the_field_is_the_observation():
  rng = np.random.default_rng(1)
  observed = jnp.asarray(rng.normal(size=(*SIZE, 2)), jnp.float32)
  precision = jnp.broadcast_to(jnp.eye(2), (*SIZE, 2, 2))
  guide = jnp.zeros((*SIZE, 1))
  found = field.fuse(
    observed,
    precision,
    guide,
    jnp.zeros((*SIZE, 2)),
    prior=PRIOR._replace(smoothness=1e-9),
  )
  np.testing.assert_allclose(found.mean, observed, atol=1e-4)


def test_a_pixel_without_observation_follows_its_neighbours():
  observed = jnp.full((*SIZE, 2), 2.0).at[2, 3].set(-5.0)
  precision = jnp.broadcast_to(10 * jnp.eye(2), (*SIZE, 2, 2))
  precision = precision.at[2, 3].set(0)
  found = field.fuse(
    observed,
    precision,
    jnp.zeros((*SIZE, 1)),
    jnp.zeros((*SIZE, 2)),
    prior=PRIOR,
    num_reweightings=10,
    num_iterations=60,
  )
  np.testing.assert_allclose(found.mean, 2.0, atol=1e-2)


def test_a_jump_survives_at_an_edge_of_the_guide():
  rng = np.random.default_rng(2)
  truth = np.zeros((12, 16, 2), np.float32)
  truth[:, 8:] = 1.0
  observed = truth + 0.3 * rng.normal(size=truth.shape)
  precision = jnp.broadcast_to(jnp.eye(2) / 0.09, (12, 16, 2, 2))

  def error(guide):
    found = field.fuse(
      jnp.asarray(observed, jnp.float32),
      precision,
      jnp.asarray(guide),
      jnp.zeros(truth.shape),
      prior=PRIOR._replace(smoothness=10.0),
    )
    return np.abs(found.mean - truth).mean()

  assert error(truth[..., :1]) < 0.6 * error(np.zeros_like(truth[..., :1]))


def test_a_slope_stays_a_slope_and_continues_without_observations():
  rng = np.random.default_rng(4)
  rows, columns = np.indices((24, 40))
  truth = np.stack([0.2 * columns, 0.1 * rows - 0.1 * columns], axis=-1)
  observed = truth + 0.1 * rng.normal(size=truth.shape)
  precision = np.broadcast_to(np.eye(2) / 0.1, (24, 40, 2, 2)).copy()
  precision[:, 15:25] = 0

  found = field.fuse(
    jnp.asarray(observed, jnp.float32),
    jnp.asarray(precision, jnp.float32),
    jnp.zeros((24, 40, 1)),
    jnp.zeros(truth.shape),
    prior=PRIOR._replace(smoothness=2.0, slope_scale=5.0),
    num_reweightings=30,
    num_iterations=100,
  )
  assert np.abs(found.mean - truth).max() < 0.15


def test_the_solution_satisfies_the_normal_equations(posterior):
  # With much softness the weights do not depend on the field.
  prior = PRIOR._replace(smoothness=2.0, softness=1e3, edge_contrast=1e9)
  observed = posterior.mean
  found = field.fuse(
    observed,
    posterior.precision,
    jnp.zeros((*SIZE, 1)),
    jnp.zeros_like(observed),
    prior=prior,
    num_reweightings=1,  # At the start, slopes are 0.
    num_iterations=200,
  )
  matrix = dense_precision(found)
  right = np.einsum('hwij,hwj->hwi', posterior.precision, observed).ravel()
  exact = np.linalg.solve(matrix, right)
  np.testing.assert_allclose(np.ravel(found.mean), exact, atol=2e-3)


def test_negative_eigenvalues_become_0():
  rng = np.random.default_rng(3)
  matrix = rng.normal(size=(200, 2, 2))
  matrix = (matrix + np.swapaxes(matrix, -1, -2)) / 2
  values, vectors = np.linalg.eigh(matrix)
  exact = np.einsum('nij,nj,nkj->nik', vectors, np.maximum(values, 0), vectors)
  found = small_matrices.nonnegative(jnp.asarray(matrix, jnp.float32))
  np.testing.assert_allclose(found, exact, atol=1e-5)


SLOPE_SIZE = (20, 30)
SLOPE = (0.2, -0.3)
SLOPE_PRIOR = PRIOR._replace(slope_scale=4.0)


def test_the_slope_of_a_plane_has_its_slope_everywhere():
  differences = jnp.broadcast_to(jnp.array(SLOPE), (*SLOPE_SIZE, 2))
  found = field.local_slopes(differences, jnp.ones(SLOPE_SIZE), SLOPE_PRIOR)
  np.testing.assert_allclose(found, differences, atol=1e-6)


def test_the_step_between_two_planes_does_not_count():
  differences = np.broadcast_to(np.float32(SLOPE), (*SLOPE_SIZE, 2)).copy()
  differences[:, 15] = 5.0
  found = field.local_slopes(
    jnp.asarray(differences), jnp.ones(SLOPE_SIZE), SLOPE_PRIOR
  )
  assert np.abs(np.asarray(found) - np.array(SLOPE)).max() < 0.02


def test_differences_without_weight_do_not_count():
  differences = jnp.broadcast_to(jnp.array(SLOPE), (*SLOPE_SIZE, 2))
  differences = differences.at[5:9].set(1.0)
  weights = jnp.ones(SLOPE_SIZE).at[5:9].set(0)
  found = field.local_slopes(differences, weights, SLOPE_PRIOR)
  expected = np.broadcast_to(SLOPE, (*SLOPE_SIZE, 2))
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_weights_the_slope_is_0():
  found = field.local_slopes(
    jnp.ones((*SLOPE_SIZE, 2)), jnp.zeros(SLOPE_SIZE), SLOPE_PRIOR
  )
  np.testing.assert_array_equal(found, 0)
