"""Denoising by groups of similar patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.denoisers import patch_groups, similar_patches
from internal_diffusion.denoisers.patch_groups import Groups
from internal_diffusion.denoisers.similar_patches import SimilarPatchesDenoiser

MODEL = SimilarPatchesDenoiser(
  patch_size=3, num_first=4, num_second=12, radius=4, stride=2
)
SIGMA = 0.2


def noise(shape, seed=0):
  return SIGMA * jax.random.normal(jax.random.key(seed), shape)


def picture(height=24, width=20, channels=1):
  """Diagonal stripes, another phase for each channel."""
  y, x, c = np.mgrid[:height, :width, :channels]
  return jnp.asarray(np.sin(0.8 * (x + y) + c)[None], jnp.float32)


def groups(num_similar, dim, seed=0):
  clean = jax.random.normal(jax.random.key(seed), (3, num_similar, dim))
  noisy = clean + noise(clean.shape, seed + 1)
  return Groups(noisy, clean, jnp.full(3, SIGMA**2))


@pytest.mark.parametrize(('num_similar', 'dim'), [(5, 9), (12, 9), (40, 25)])
def test_ridge_weights_have_the_least_expected_error(num_similar, dim):
  """Against the linear system with the constraint, one patch at a time."""
  given = groups(num_similar, dim)
  found = similar_patches.combine_by_ridge(given)
  energy = dim * SIGMA**2
  for noisy, clean, mean, variance, weight in zip(
    given.noisy,
    given.guide,
    found.mean,
    found.variance,
    found.weight,
    strict=True,
  ):
    clean, noisy = np.float64(clean), np.float64(noisy)
    system = np.zeros((num_similar + 1, num_similar + 1))
    system[:-1, :-1] = clean @ clean.T + energy * np.eye(num_similar)
    system[-1, :-1] = system[:-1, -1] = 1
    right = np.vstack([clean @ clean.T, np.ones(num_similar)])
    weights = np.linalg.solve(system, right)[:-1]
    np.testing.assert_allclose(mean, weights.T @ noisy, atol=1e-4)
    error = ((weights.T @ clean - clean) ** 2).sum(axis=1)
    error += energy * (weights**2).sum(axis=0)
    np.testing.assert_allclose(variance, error / dim, rtol=1e-3)
    np.testing.assert_allclose(1 / weight, (weights**2).sum(axis=0), rtol=1e-3)


def test_unbiased_weights_minimise_steins_estimate_of_the_risk():
  """|Y t - y_j|^2 + 2 c t_j is the risk, up to a constant, without bias."""
  given = groups(4, 25)
  found = similar_patches.combine_by_unbiased_risk(given)
  energy = 25 * SIGMA**2
  for noisy, mean in zip(given.noisy, found.mean, strict=True):
    noisy = np.float64(noisy)
    system = np.zeros((5, 5))
    system[:-1, :-1] = noisy @ noisy.T
    system[-1, :-1] = system[:-1, -1] = 1
    right = np.vstack([noisy @ noisy.T - energy * np.eye(4), np.ones(4)])
    weights = np.linalg.solve(system, right)[:-1]
    np.testing.assert_allclose(mean, weights.T @ noisy, atol=0.01)


@pytest.mark.parametrize(('num_similar', 'dim'), [(5, 9), (12, 9)])
def test_groups_are_equivariant_to_order_and_brightness(num_similar, dim):
  given = groups(num_similar, dim)
  order = np.random.default_rng(0).permutation(num_similar)
  turned = Groups(
    given.noisy[:, order] + 3, given.guide[:, order], given.variance
  )
  for combine in (
    similar_patches.combine_by_ridge,
    *([similar_patches.combine_by_unbiased_risk] if num_similar < dim else []),
  ):
    first, second = combine(given), combine(turned)
    np.testing.assert_allclose(second.mean, first.mean[:, order] + 3, atol=1e-4)
    np.testing.assert_allclose(second.weight, first.weight[:, order], rtol=1e-3)


def test_copies_of_one_patch_are_averaged():
  clean = jnp.ones((1, 16, 1)) * jax.random.normal(jax.random.key(3), (1, 1, 9))
  noisy = clean + noise(clean.shape)
  found = similar_patches.combine_by_ridge(
    Groups(noisy, clean, jnp.full(1, SIGMA**2))
  )
  mean = np.broadcast_to(noisy.mean(axis=1, keepdims=True), noisy.shape)
  np.testing.assert_allclose(found.mean, mean, atol=1e-5)
  np.testing.assert_allclose(found.variance, SIGMA**2 / 16, rtol=1e-3)
  np.testing.assert_allclose(found.weight, 16, rtol=1e-3)


def test_nearest_patches_are_those_of_a_full_comparison():
  values = jax.random.normal(jax.random.key(0), (50, 9)) + 5
  references = jnp.array([3, 40])
  found = patch_groups.nearest_patches(values, references, 6)
  distance = ((values[references][:, None] - values[None]) ** 2).sum(axis=-1)
  np.testing.assert_array_equal(found, np.argsort(distance, axis=1)[:, :6])


@pytest.mark.parametrize('channels', [1, 3])
def test_noise_is_reduced_and_its_variance_said(channels):
  clean = picture(channels=channels)
  found = MODEL.estimate(clean + noise(clean.shape), jnp.float32(SIGMA))
  error = np.mean((found.mean - clean) ** 2)
  assert error < SIGMA**2 / 4
  assert 0.3 < np.mean(found.variance) / error < 3


def test_a_flat_image_stays_flat():
  flat = jnp.full((1, 17, 13, 1), 0.3)
  np.testing.assert_allclose(MODEL(flat, jnp.float32(SIGMA)), flat, atol=1e-5)


@pytest.mark.parametrize('channels', [1, 3])
def test_without_noise_nothing_changes(channels):
  clean = picture(channels=channels)
  np.testing.assert_allclose(MODEL(clean, jnp.float32(0)), clean, atol=1e-6)


def test_channels_and_images_may_change_places():
  clean = jnp.concatenate([picture(channels=3), -picture(channels=3)])
  noisy, sigma = clean + noise(clean.shape), jnp.float32(SIGMA)
  found = MODEL(noisy, sigma)
  turned = MODEL(noisy[::-1, ..., ::-1], sigma)
  np.testing.assert_allclose(turned[::-1, ..., ::-1], found, atol=1e-3)


def test_a_shifted_image_is_denoised_alike_in_the_interior():
  model = SimilarPatchesDenoiser(
    patch_size=3, num_first=4, num_second=6, radius=2, stride=1
  )
  clean, sigma = picture(37, 36), jnp.float32(SIGMA)
  noisy = clean + noise(clean.shape)
  first = model(noisy[:, :-1, :-1], sigma)[:, 1:, 1:]
  second = model(noisy[:, 1:, 1:], sigma)[:, :-1, :-1]
  # A pixel depends on those up to 2 x (radius + 2 patches) away.
  inner = slice(14, -14)
  np.testing.assert_allclose(
    first[:, inner, inner], second[:, inner, inner], atol=1e-4
  )


def test_noise_level_of_each_image_and_pixel():
  clean = jnp.concatenate([picture(), picture()])
  noisy = clean + noise(clean.shape)
  expected = MODEL(noisy[:1], jnp.float32(SIGMA))
  found = MODEL(noisy, jnp.array([SIGMA, 0.0]))
  np.testing.assert_allclose(found[:1], expected, atol=1e-4)
  np.testing.assert_allclose(found[1:], noisy[1:], atol=1e-6)
  found = MODEL(noisy[:1], jnp.full((1, 24, 20, 1), SIGMA))
  np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_truth_as_a_guide_is_better_than_none():
  clean = picture()
  noisy, sigma = clean + noise(clean.shape), jnp.float32(SIGMA)
  guided = MODEL.estimate(noisy, sigma, guide=clean).mean
  alone = MODEL(noisy, sigma)
  assert np.mean((guided - clean) ** 2) < np.mean((alone - clean) ** 2)


@pytest.mark.parametrize('size', [(3, 3), (4, 11), (9, 5)])
def test_small_images(size):
  clean = picture(*size)
  found = MODEL(clean + noise(clean.shape), jnp.float32(SIGMA))
  assert found.shape == clean.shape
  assert np.all(np.isfinite(found))


def test_a_second_image_compiles_nothing():
  image = picture()
  jax.block_until_ready(MODEL(image, jnp.float32(0.1)))
  other, level = image[:, ::-1] + 0, jnp.float32(0.2)
  with measure_compilation() as meter:
    same = SimilarPatchesDenoiser(
      patch_size=3, num_first=4, num_second=12, radius=4, stride=2
    )
    jax.block_until_ready(same(other, level))
  assert meter.count == 0


@pytest.mark.parametrize(
  ('options', 'shape', 'sigma', 'match'),
  [
    ({'patch_size': 4}, (1, 9, 9, 1), 0.1, 'patch_size'),
    ({'patch_size': 11}, (1, 9, 9, 1), 0.1, 'patch_size'),
    ({'radius': 0}, (1, 9, 9, 1), 0.1, 'radius'),
    ({'num_second': 0}, (1, 9, 9, 1), 0.1, 'num_second'),
    ({}, (9, 9, 1), 0.1, '`x`'),
    ({}, (1, 9, 9, 1), np.ones(2), 'sigma'),
  ],
)
def test_bad_input(options, shape, sigma, match):
  with pytest.raises(ValueError, match=match):
    SimilarPatchesDenoiser(**options)(jnp.zeros(shape), sigma)


def test_a_guide_of_another_size_is_refused():
  with pytest.raises(ValueError, match='guide'):
    MODEL.estimate(picture(), 0.1, guide=picture(23, 20))


def test_one_step_with_a_guide():
  clean = picture()
  noisy = clean + noise(clean.shape)
  found = MODEL.combine(noisy, jnp.float32(SIGMA), clean)
  before, after = (float(jnp.std(x - clean)) for x in (noisy, found))
  assert after < 0.6 * before
  same = MODEL.combine(noisy, jnp.float32(1e-4), noisy)
  np.testing.assert_allclose(same, noisy, atol=1e-3)
  with pytest.raises(ValueError, match='`guide`'):
    MODEL.combine(noisy, jnp.float32(SIGMA), clean[:, 1:])
