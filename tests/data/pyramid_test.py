import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import pyramid


def test_sizes_shrink_by_the_factor_to_the_smallest_side():
  sizes = pyramid.pyramid_sizes(160, 240, scale_factor=0.5, min_side=20)
  assert sizes == [(160, 240), (80, 120), (40, 60), (20, 30)]
  sizes = pyramid.pyramid_sizes(101, 50, scale_factor=0.7, min_side=10)
  for level, (height, width) in enumerate(sizes):
    assert height == round(101 * 0.7**level)
    assert width == round(50 * 0.7**level)
  assert min(sizes[-1]) >= 10 > 0.7 * min(sizes[-1]) - 0.5


@pytest.mark.parametrize('factor', [0.1, 0.5, 0.99])
def test_any_factor_gives_strictly_smaller_levels(factor):
  sizes = pyramid.pyramid_sizes(30, 40, scale_factor=factor, min_side=8)
  for (h0, w0), (h1, w1) in itertools.pairwise(sizes):
    assert h1 <= h0
    assert w1 <= w0
    assert (h1, w1) != (h0, w0)


def test_image_as_small_as_the_bound_is_one_level():
  sizes = pyramid.pyramid_sizes(8, 9, scale_factor=0.5, min_side=8)
  assert sizes == [(8, 9)]


def test_constant_image_stays_constant():
  levels = pyramid.build_pyramid(jnp.full((40, 50, 3), 0.3), scale_factor=0.6)
  for level in levels:
    np.testing.assert_allclose(level, 0.3, atol=1e-5)


def test_levels_are_antialiased():
  # Stripes of one pixel, above the coarse level's Nyquist frequency, must
  # become their mean; plain interpolation would leave stripes.
  stripes = jnp.tile(jnp.array([-1.0, 1.0]), 40)[None, :, None]
  image = jnp.broadcast_to(stripes, (80, 80, 1))
  coarse = pyramid.build_pyramid(image, scale_factor=0.5, min_side=40)[1]
  assert abs(coarse[:, 4:-4]).max() < 0.02


def test_a_wave_keeps_its_place():
  # A wave of 40 pixels sampled at pixel centres: x -> (x + 1/2) / 0.5 - 1/2.
  def wave(width, scale):
    x = (np.arange(width) + 0.5) / scale
    return np.sin(2 * np.pi * x / 40)

  image = jnp.broadcast_to(wave(80, 1.0)[None, :, None], (80, 80, 1)) * 0.9
  coarse = pyramid.build_pyramid(image, scale_factor=0.5, min_side=40)[1]
  np.testing.assert_allclose(
    coarse[20, 4:-4, 0], 0.9 * wave(40, 0.5)[4:-4], atol=0.02
  )


def test_stack_holds_levels_and_nan_elsewhere():
  levels = [jnp.ones((6, 8, 3)), jnp.zeros((3, 4, 3))]
  stack = pyramid.stack_pyramid(levels)
  assert stack.num_levels == 2
  np.testing.assert_array_equal(stack.heights, [6, 3])
  np.testing.assert_array_equal(stack.widths, [8, 4])
  np.testing.assert_array_equal(stack.images[1, :3, :4], levels[1])
  assert np.isnan(stack.images[1, 3:]).all()
  assert np.isnan(stack.images[1, :, 4:]).all()


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'scale_factor': 0.0}, 'scale_factor'),
    ({'scale_factor': 1.0}, 'scale_factor'),
    ({'min_side': 0}, 'min_side'),
    ({'min_side': 41}, 'smaller than'),
  ],
)
def test_bad_options(options, message):
  with pytest.raises(ValueError, match=message):
    pyramid.build_pyramid(jnp.zeros((40, 60, 3)), **options)


def test_wrong_rank():
  with pytest.raises(ValueError, match=r'\[H, W, C\]'):
    pyramid.build_pyramid(jnp.zeros((40, 60)))
