"""Blocks and the plane they average to."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from internal_diffusion.applications.super_resolution.blocks import (
  average_blocks,
  block_size,
  blocks_at,
  extract_blocks,
  place_sparse,
  take_sparse,
)
from internal_diffusion.applications.super_resolution.pairs import windows
from internal_diffusion.data.symmetry import pixel_orders

EVERY = pytest.mark.parametrize(
  ('factor', 'reach'), [(1, 1), (2, 0), (2, 1), (3, 2)]
)


def random_array(*shape):
  values = np.random.default_rng(0).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


@EVERY
def test_blocks_make_the_plane_again(factor, reach):
  plane = random_array(5 * factor, 7 * factor)
  blocks = extract_blocks(plane, factor=factor, reach=reach)
  assert blocks.shape == (5, 7, block_size(factor, reach) ** 2)
  again = average_blocks(blocks, factor=factor, reach=reach)
  np.testing.assert_allclose(again, plane, atol=1e-6)


@EVERY
def test_inside_they_are_the_blocks_of_training(factor, reach):
  plane = random_array(6 * factor, 7 * factor)
  blocks = extract_blocks(plane, factor=factor, reach=reach)
  inside = slice(reach, -reach or None)
  squares = windows(np.asarray(plane), block_size(factor, reach), stride=factor)
  expected = squares.reshape(*squares.shape[:2], -1)
  np.testing.assert_array_equal(blocks[inside, inside], expected)


@EVERY
def test_blocks_of_some_pixels_are_those_of_all(factor, reach):
  plane = random_array(5 * factor, 7 * factor)
  whole = extract_blocks(plane, factor=factor, reach=reach)
  pixels = jnp.array([0, 34, 16, 7])
  some = blocks_at(plane, pixels, factor=factor, reach=reach)
  np.testing.assert_array_equal(some, whole.reshape(35, -1)[pixels])


@EVERY
def test_a_high_pixel_is_the_mean_of_the_blocks_that_cover_it(factor, reach):
  value = random_array(5, 6)
  dim = block_size(factor, reach) ** 2
  blocks = jnp.broadcast_to(value[..., None], (5, 6, dim))
  near = np.ones((2 * reach + 1,) * 2)
  # Fewer blocks cover a pixel at the border, where there are no more.
  total = ndimage.convolve(np.asarray(value), near, mode='constant')
  count = ndimage.convolve(np.ones((5, 6)), near, mode='constant')
  np.testing.assert_allclose(
    average_blocks(blocks, factor=factor, reach=reach),
    np.kron(total / count, np.ones((factor, factor))),
    atol=1e-5,
  )


@pytest.mark.parametrize('number', range(8))
def test_a_turned_plane_has_turned_blocks(number):
  factor, reach, side = 2, 1, 4

  def turned(array, order):
    return array.reshape(len(order), -1)[order]

  plane = random_array(factor * side, factor * side)
  order = pixel_orders(factor * side)[number]
  blocks = extract_blocks(
    turned(plane, order).reshape(plane.shape), factor=factor, reach=reach
  )
  expected = turned(
    extract_blocks(plane, factor=factor, reach=reach),
    pixel_orders(side)[number],
  )[:, pixel_orders(block_size(factor, reach))[number]]
  np.testing.assert_array_equal(blocks.reshape(expected.shape), expected)


@pytest.mark.parametrize('offset', [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_sparse_blocks_return_to_their_places_and_make_the_plane(offset):
  factor, reach, stride = 2, 1, 2
  plane = random_array(5 * factor, 8 * factor)
  blocks = extract_blocks(plane, factor=factor, reach=reach)
  sparse = take_sparse(blocks, jnp.array(offset), stride=stride)
  assert sparse.shape[:2] == (3, 4)
  down, right = offset
  chosen = np.zeros((5, 8, 1))
  chosen[down::stride, right::stride] = 1
  placed, weight = (
    place_sparse(part, jnp.array(offset), stride=stride, shape=(5, 8))
    for part in (sparse, jnp.ones_like(sparse))
  )
  np.testing.assert_array_equal(placed, blocks * chosen)
  # With one of every two each way, every pixel is still in a block.
  total, weight = (
    average_blocks(part, factor=factor, reach=reach)
    for part in (placed, weight)
  )
  np.testing.assert_allclose(total / weight, plane, atol=1e-6)
