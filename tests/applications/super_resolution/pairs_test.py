"""Pairs against the planes that they were taken from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from scipy.spatial.distance import cdist

from internal_diffusion.applications.super_resolution import (
  pairs as upscaling_pairs,
)
from internal_diffusion.applications.super_resolution.blocks import block_size
from internal_diffusion.applications.super_resolution.pairs import windows
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.symmetry import pixel_orders

SIZE = 5
KERNEL = np.outer([1, 2, 1], [1, 3, 1]) / 20


def photograph(height, width):
  # A camera on its tripod: fine detail, and a smooth sky.
  pixels = skimage.data.camera()[90 : 90 + height, 240 : 240 + width]
  return pixels.astype(np.float32) / 127.5 - 1


def turn(plane, number):
  order = pixel_orders(len(plane))[number]
  return plane.ravel()[order].reshape(plane.shape)


def matches(rows, among):
  """Index of the nearest of other rows, for each row."""
  distance = cdist(rows, among)
  assert distance.min(axis=1).max() < 1e-4
  return distance.argmin(axis=1)


def unshifted_pairs(plane, *, factor, reach, kernel=None):
  """Pairs of the plane itself: source, bicubic upscaling, truth."""
  low_size = tuple(side // factor for side in plane.shape)
  degradation = make_downscaling(low_size, plane.shape, kernel=kernel)
  low = degradation.apply(jnp.asarray(plane)[..., None])
  bicubic = np.asarray(degradation.interpolate(low))[..., 0]
  low = np.asarray(low)[..., 0]
  side = block_size(factor, reach)
  bicubic, high = (windows(p, side, stride=factor) for p in (bicubic, plane))
  inside = slice(reach, -reach or None)
  padded = np.pad(low, SIZE // 2, mode='edge')
  sources = windows(padded, SIZE)[inside, inside]
  return tuple(
    squares.reshape(-1, squares.shape[-1] ** 2)
    for squares in (sources, bicubic, high)
  )


# Sources.


def test_normalising_undoes_brightness_and_contrast():
  source = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
  z, contrast = upscaling_pairs.normalise(source)
  np.testing.assert_allclose(np.mean(z, axis=-1), 0, atol=1e-6)
  other_z, other = upscaling_pairs.normalise(0.5 * source - 0.3)
  # But for the floor, which is far below.
  np.testing.assert_allclose(other_z, z, atol=0.02)
  np.testing.assert_allclose(other, 0.5 * contrast, rtol=0.02)


def test_flat_sources_stay_flat():
  source = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
  z, contrast = upscaling_pairs.normalise(1e-4 * source)
  # Invisible texture is not amplified, and nothing is divided by 0.
  assert np.abs(z).max() < 0.02
  flat_z, floor = upscaling_pairs.normalise(np.full((1, 9), 0.7, np.float32))
  np.testing.assert_allclose(flat_z, 0, atol=1e-5)
  np.testing.assert_allclose(contrast, np.full_like(contrast, floor), rtol=1e-3)


# Pairs.


@pytest.mark.parametrize(
  ('factor', 'reach', 'kernel'),
  [(2, 1, None), (2, 0, None), (3, 1, None), (2, 1, KERNEL)],
)
def test_bicubic_linear_map_and_target_make_the_plane(factor, reach, kernel):
  plane = photograph(13 * factor, 14 * factor)
  pairs = upscaling_pairs.build_pairs(
    [plane], factor=factor, source_size=SIZE, reach=reach, kernel=kernel
  )
  sources, bicubic, high = unshifted_pairs(
    plane, factor=factor, reach=reach, kernel=kernel
  )
  z, contrast = upscaling_pairs.normalise(sources)
  index = matches(z, pairs.source)
  blocks = pairs.target[index] + z @ pairs.encoding.linear
  np.testing.assert_allclose(bicubic + contrast * blocks, high, atol=1e-5)


def test_a_pair_is_drawn_in_proportion_to_its_contrast_to_the_power_1_5():
  plane = photograph(26, 28)
  pairs = upscaling_pairs.build_pairs([plane], factor=2, source_size=SIZE)
  sources, _, _ = unshifted_pairs(plane, factor=2, reach=1)
  z, contrast = upscaling_pairs.normalise(sources)
  assert contrast.max() > 3 * contrast.min()
  probability = np.diff(pairs.cumulative, prepend=0)[matches(z, pairs.source)]
  ratio = probability / contrast[:, 0] ** 1.5
  np.testing.assert_allclose(ratio, np.full_like(ratio, ratio[0]), rtol=2e-3)


@pytest.mark.parametrize('number', range(8))
def test_a_turned_plane_has_turned_pairs(number):
  plane = photograph(31, 31)
  pairs, of_turned = (
    upscaling_pairs.build_pairs([p], factor=2, source_size=SIZE)
    for p in (plane, turn(plane, number))
  )
  orders = [pixel_orders(side)[number] for side in (SIZE, block_size(2, 1))]
  index = matches(pairs.source[:, orders[0]], of_turned.source)
  assert len(set(index)) == len(pairs.source)
  np.testing.assert_allclose(
    of_turned.target[index], pairs.target[:, orders[1]], atol=1e-3
  )
  for ours, theirs in zip(pairs.encoding, of_turned.encoding, strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_an_inverted_plane_has_inverted_pairs():
  plane = photograph(30, 30)
  pairs, inverted = (
    upscaling_pairs.build_pairs([sign * plane], factor=2, source_size=SIZE)
    for sign in (1, -1)
  )
  np.testing.assert_allclose(pairs.source, -inverted.source, atol=1e-4)
  np.testing.assert_allclose(pairs.target, -inverted.target, atol=1e-4)


def test_smaller_scales_give_more_pairs():
  def num_pairs(side):
    plane = photograph(side, side)
    pairs = upscaling_pairs.build_pairs([plane], factor=2, source_size=SIZE)
    return len(pairs.source)

  # Four phases of one scale; blocks lie within the plane.
  assert num_pairs(26) == (11 + 10) ** 2
  # 0.8 * 32 makes 26 pixels again; 0.9 * 32 makes 29, whose phases are alike.
  assert num_pairs(32) == (14 + 13) ** 2 + (12 + 12) ** 2 + (11 + 10) ** 2


def test_memory_is_bounded_and_every_scale_gives_pairs(monkeypatch):
  plane = photograph(60, 60)
  whole = upscaling_pairs.build_pairs([plane], factor=2, source_size=SIZE)
  monkeypatch.setattr(upscaling_pairs, '_MAX_PAIRS', 500)
  some, same, other = (
    upscaling_pairs.build_pairs([plane], factor=2, source_size=SIZE, seed=seed)
    for seed in (0, 0, 1)
  )
  # Each scale and phase is rounded up.
  assert 500 <= len(some.source) <= 500 + 5 * 4
  matches(some.source, whole.source)
  for a, b in zip(jax.tree.leaves(some), jax.tree.leaves(same), strict=True):
    np.testing.assert_array_equal(a, b)
  assert np.any(some.source != other.source)


# The encoding.


def fitted(num=3000, *, target_dim=16):
  rng = np.random.default_rng(0)
  source = rng.normal(size=(num, 9)) @ (np.eye(9) + 0.1 * rng.normal(size=(9,)))
  target = rng.normal(size=(num, target_dim)) + source[:, :1]
  contrast = rng.uniform(0.1, 1, size=(num, 1))
  arrays = [a.astype(np.float32) for a in (source, target, contrast)]
  return arrays, upscaling_pairs.fit_encoding(*arrays)


def test_linear_map_is_the_weighted_least_squares_of_all_orientations():
  (source, target, contrast), encoding = fitted()
  orders = zip(pixel_orders(3), pixel_orders(4), strict=True)
  rows = [(contrast * source[:, s], contrast * target[:, t]) for s, t in orders]
  expected, *_ = np.linalg.lstsq(*map(np.concatenate, zip(*rows, strict=True)))
  np.testing.assert_allclose(encoding.linear, expected, atol=1e-3)


def test_the_encoding_has_no_preferred_direction():
  _, encoding = fitted()
  for s, t in zip(pixel_orders(3), pixel_orders(4), strict=True):
    turned = encoding.linear[np.ix_(s, t)]
    np.testing.assert_allclose(turned, encoding.linear, atol=1e-5)
    turned = encoding.features[np.ix_(s, s)]
    np.testing.assert_allclose(turned, encoding.features, atol=1e-5)


def test_the_encoding_of_linear_targets_is_their_linear_map():
  (source, _, contrast), first = fitted()
  again = upscaling_pairs.fit_encoding(
    source, source @ np.asarray(first.linear), contrast
  )
  np.testing.assert_allclose(again.linear, first.linear, atol=1e-3)


def test_features_are_uncorrelated_and_matter_less_far_away():
  (source, _, _), encoding = fitted()
  turned = np.concatenate([source[:, s] for s in pixel_orders(3)])
  features = turned @ np.asarray(encoding.features)
  stddev = np.sqrt(np.mean(features**2, axis=0))
  correlation = features.T @ features / len(features) / np.outer(stddev, stddev)
  np.testing.assert_allclose(correlation, np.eye(9), atol=0.05)
  corner, edge, centre = stddev[[0, 1, 4]]
  assert corner < edge < centre
  assert centre == pytest.approx(1, abs=0.03)


# Draws.


def simple_pairs(num=6):
  """Targets are the sources, doubled in size; features are the sources."""
  source = np.random.default_rng(0).normal(size=(num, 9)).astype(np.float32)
  target = source.reshape(num, 3, 3).repeat(2, axis=1).repeat(2, axis=2)
  cumulative = jnp.cumsum(jnp.arange(num) / (num * (num - 1) / 2))
  return upscaling_pairs.UpscalingPairs(
    jnp.asarray(source),
    jnp.asarray(target.reshape(num, -1)),
    cumulative.at[-1].set(1.0),
    upscaling_pairs.SourceEncoding(jnp.zeros((9, 36)), jnp.eye(9)),
  )


def test_drawn_targets_are_turned_and_inverted_as_their_sources():
  pairs = simple_pairs()
  features, target = upscaling_pairs.sample_pairs(
    jax.random.key(0), pairs, num=500
  )
  doubled = np.reshape(features, (-1, 3, 3)).repeat(2, axis=1).repeat(2, axis=2)
  np.testing.assert_array_equal(target, doubled.reshape(500, -1))


def test_draws_have_the_given_frequencies_in_all_orientations():
  num_draws = 20_000
  pairs = simple_pairs(4)
  features, _ = upscaling_pairs.sample_pairs(
    jax.random.key(0), pairs, num=num_draws
  )
  ways = np.stack(
    [
      sign * np.asarray(pairs.source)[:, order]
      for order in pixel_orders(3)
      for sign in (1, -1)
    ],
    axis=1,
  )
  index = matches(features, ways.reshape(-1, 9))
  counts = np.bincount(index, minlength=4 * 16).reshape(4, 16)
  probability = np.array([0, 1, 2, 3])[:, None] / 6 / 16
  bound = 4.5 * np.sqrt(num_draws * probability)
  assert np.all(np.abs(counts - num_draws * probability) <= bound)


def test_pairs_of_planes_of_weight_0_are_never_drawn():
  planes = [photograph(30, 30), photograph(40, 30)[::-1].copy()]

  def build(planes, **options):
    return upscaling_pairs.build_pairs(
      planes, factor=2, source_size=SIZE, **options
    )

  both = build(planes, weights=[1.0, 0.0])
  alone = build(planes[:1])
  num = len(alone.source)
  assert len(both.source) > num
  np.testing.assert_allclose(both.cumulative[:num], alone.cumulative, atol=1e-6)
  np.testing.assert_array_equal(both.cumulative[num:], 1)


# What is refused.


def test_small_and_constant_planes_are_refused():
  def build(plane, **options):
    return upscaling_pairs.build_pairs(
      [plane], **{'factor': 2, 'source_size': SIZE, **options}
    )

  with pytest.raises(ValueError, match=r'23x40.*factor 2.*24x24'):
    build(photograph(23, 40))
  with pytest.raises(ValueError, match='36x36'):
    build(photograph(30, 30), factor=3)
  with pytest.raises(ValueError, match='constant'):
    build(np.full((40, 40), 0.5, np.float32))
