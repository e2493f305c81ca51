"""One plane of a JPEG file against SciPy's transform and plain means."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from internal_diffusion.data.jpeg_plane import PlaneCells, to_blocks


def random(*shape):
  values = np.random.default_rng(0).uniform(-100, 100, shape)
  return jnp.asarray(values, jnp.float32)


def cells(rows, columns, factor=(1, 1), step=16.0):
  levels = np.random.default_rng(1).integers(-3, 4, (rows, columns, 8, 8))
  steps = jnp.full((8, 8), step)
  return PlaneCells(jnp.asarray(levels, jnp.int16), steps, factor)


def test_blocks_have_the_orthonormal_cosine_transform():
  plane = random(16, 24)
  blocks = np.asarray(plane).reshape(2, 8, 3, 8).swapaxes(1, 2)
  wanted = scipy.fft.dctn(blocks, axes=(2, 3), norm='ortho')
  np.testing.assert_allclose(to_blocks(plane), wanted, atol=1e-3)


def test_means_repeat_columns_before_and_rows_after():
  plane = random(6, 11)
  found = np.asarray(cells(1, 1, (2, 2)).subsample(plane))
  pixels = np.asarray(plane)
  np.testing.assert_allclose(found[1, 2], pixels[2:4, 4:6].mean(), rtol=1e-5)
  np.testing.assert_allclose(found[0, 6], pixels[:2, 10].mean(), rtol=1e-5)
  np.testing.assert_array_equal(found[3:], found[[2] * 5])


@pytest.mark.parametrize('size', [(16, 24), (13, 18)])
def test_the_nearest_plane_of_cells_is_found_by_more_projections(size):
  # One is enough for whole blocks.
  own = cells(2, 3)
  plane = random(*size)
  levels = jnp.round(own.coefficients(0.5 * plane[::-1]) / 16)
  own = own.replace(levels=levels.astype(jnp.int16))
  first = own.project(plane, 0.0)
  last = first
  for _ in range(0 if size == (16, 24) else 200):
    last = own.project(last, 0.0)
  offset = own.coefficients(last) - own.centres()
  # Cells of blocks that are not whole may have nothing in common with planes
  # whose last pixels are repeated, once they are narrowed by the margin.
  least = 1.0 if size == (16, 24) else 0.99
  assert float(jnp.mean(jnp.abs(offset) < 8)) >= least
  assert jnp.linalg.norm(last - plane) < 1.5 * jnp.linalg.norm(first - plane)


def test_a_coefficient_is_the_mean_weighted_by_precision():
  own = cells(1, 1, step=12.0)  # The cell's variance is 12.
  plane = random(8, 8)
  offset = own.coefficients(plane) - own.centres()
  found = own.coefficients(own.project(plane, 36.0)) - own.centres()
  reach = 6 - 1.2
  wanted = jnp.clip(offset / 4, -reach, reach)
  np.testing.assert_allclose(found, wanted, atol=1e-3)
