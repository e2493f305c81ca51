"""Triplets of a frame moved along known fields."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from internal_diffusion.applications.flow import features
from internal_diffusion.applications.flow import pairs as pairs_lib

SIZE = 9


@pytest.fixture(scope='module')
def level():
  rng = np.random.default_rng(0)
  noise = scipy.ndimage.gaussian_filter(rng.standard_normal((60, 70)), 2.0)
  return (noise / np.abs(noise).max()).astype(np.float32)


@pytest.fixture(scope='module')
def pairs(level):
  return pairs_lib.build_pairs(
    [level, level[::2, ::2]], num_fields=3, stddev=1.0, seed=1
  )


def test_the_target_is_the_frame_sampled_at_delta(level, pairs):
  height, width = level.shape
  target = np.asarray(pairs.target[: level.size]).reshape(level.shape)
  delta = np.asarray(pairs.delta[: level.size]).reshape(height, width, 2)
  y, x = np.indices(level.shape)
  at = [y + delta[..., 1], x + delta[..., 0]]
  looked_up = scipy.ndimage.map_coordinates(level, at, order=5, mode='mirror')
  inner = (slice(6, -6), slice(6, -6))
  error = np.sqrt(np.mean((target - looked_up)[inner] ** 2))
  assert error < 0.02 * level.std()


def test_fields_have_the_given_standard_deviation():
  rng = np.random.default_rng(0)
  fields = [
    pairs_lib.random_field(rng, (40, 50), stddev=1.5) for _ in range(300)
  ]
  np.testing.assert_allclose(np.std(fields), 1.5, rtol=0.1)


@pytest.mark.parametrize('seed', range(3))
def test_oriented_triplets_agree_with_the_first_order(pairs, seed):
  source, target, delta = pairs_lib.sample_pairs(
    jax.random.key(seed), pairs, num=4000, patch_size=SIZE
  )
  assert source.shape == target.shape == (4000, SIZE**2)
  encoding = features.fit_encoding(source, target, stddev=1.0)
  _, estimate = features.pair_features(
    encoding, source, target, jnp.full(4000, 0.01)
  )
  # Both components, in all eight orientations, hence no sign is mixed up.
  for axis in range(2):
    correlation = np.corrcoef(estimate[:, axis], delta[:, axis])[0, 1]
    assert correlation > 0.6


def test_the_draw_depends_on_the_key_alone(pairs):
  draw = [
    pairs_lib.sample_pairs(jax.random.key(key), pairs, num=16, patch_size=SIZE)
    for key in (0, 0, 1)
  ]
  np.testing.assert_array_equal(draw[0][0], draw[1][0])
  assert not np.array_equal(draw[0][0], draw[2][0])


def test_features_are_white(pairs):
  source, target, _ = pairs_lib.sample_pairs(
    jax.random.key(0), pairs, num=8000, patch_size=SIZE
  )
  encoding = features.fit_encoding(source, target, stddev=1.0)
  found, _ = features.pair_features(
    encoding, source, target, jnp.full(8000, 0.01)
  )
  # Up to the window and the floor, and none of the mean's direction.
  assert 0.05 < np.std(found[:, : SIZE**2]) < 3
