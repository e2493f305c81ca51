"""Upscaled images: consistency with the input, fidelity, samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.super_resolution import (
  BlockDenoiser,
  inference,
  learn_upscaler,
  planes,
)
from internal_diffusion.applications.super_resolution.pairs import windows
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.evaluation.fidelity import psnr
from tests.applications.super_resolution import small

KEY = jax.random.key(0)
FACTORS = [1.5, 2, 2.7, 3, 4]


def mean_of(upscaler, image, factor=2):
  return inference.upscale(KEY, upscaler, image, factor=factor).mean


def consistency(high, low):
  downscaling = make_downscaling(low.shape[:2], high.shape[:2])
  return psnr(np.clip(downscaling.apply(high), -1, 1), low)


def bicubic(image, size):
  downscaling = make_downscaling(image.shape[:2], size)
  return np.asarray(downscaling.interpolate(image)).clip(-1, 1)


def rms(values):
  return float(np.sqrt(np.mean(np.square(values))))


# The mean.


def test_mean_is_nearer_to_the_truth_than_bicubic(upscaler, image, truth):
  mean = mean_of(upscaler, image)
  plain = bicubic(image, truth.shape[:2])
  assert psnr(mean, truth) > psnr(plain, truth) + 1


def test_parts_of_a_plane_leave_no_seams(upscaler, image, monkeypatch):
  low = jnp.asarray(image[..., 0])
  whole = planes.mean_plane(upscaler, low)
  monkeypatch.setattr(planes, '_CHUNK', 100)
  planes._missing_plane.clear_cache()
  parts = planes.mean_plane(upscaler, low)
  planes._missing_plane.clear_cache()
  np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize(('factor', 'side'), [(1.5, 64), (2.7, 20), (4, 24)])
def test_any_factor_is_nearer_to_the_truth_than_bicubic(
  upscaler, truth, factor, side
):
  high = truth[: round(factor * side), : round(factor * side)]
  downscaling = make_downscaling((side, side), high.shape[:2])
  low = np.asarray(downscaling.apply(high))
  mean = mean_of(upscaler, low, factor)
  assert psnr(mean, high) > psnr(bicubic(low, high.shape[:2]), high) + 0.5


@pytest.mark.parametrize('factor', FACTORS)
def test_size_is_exact_and_the_given_image_comes_back(
  upscaler, colours, factor
):
  mean = mean_of(upscaler, colours, factor)
  expected = (round(32 * factor), round(36 * factor), 3)
  assert mean.shape == expected
  assert mean.dtype == np.float32
  assert np.abs(mean).max() <= 1
  assert consistency(mean, colours) > 45


@pytest.mark.parametrize('factor', [1.5, 2, 3])
def test_constant_image_stays_constant(upscaler, factor):
  constant = np.full((24, 30, 3), [0.3, -0.5, 1.0], np.float32)
  mean = mean_of(upscaler, constant, factor)
  expected = np.broadcast_to(constant[:1, :1], mean.shape)
  # The network predicts a little even where there is no contrast.
  np.testing.assert_allclose(mean, expected, atol=0.02)


def test_turned_and_mirrored_images_have_turned_means(upscaler, colours):
  mean = mean_of(upscaler, colours)
  for turn in (
    lambda image: image.swapaxes(0, 1),
    lambda image: image[::-1],
    lambda image: image[:, ::-1],
  ):
    turned = mean_of(upscaler, np.ascontiguousarray(turn(colours)))
    np.testing.assert_allclose(turned, turn(mean), atol=1e-4)


def test_a_grey_image_is_grey_in_colour(upscaler, image):
  grey = mean_of(upscaler, image)
  assert grey.shape[-1] == 1
  colour = mean_of(upscaler, np.repeat(image, 3, axis=-1))
  np.testing.assert_allclose(
    colour, np.broadcast_to(grey, colour.shape), atol=1e-4
  )


def test_the_closed_form_needs_no_training(image, truth):
  options = small.options(denoiser=BlockDenoiser.CLOSED_FORM, num_pairs=2048)
  upscaler = learn_upscaler(image, options)
  found = inference.upscale(
    KEY, upscaler, image, factor=2, num_samples=2, num_steps=3
  )
  plain = bicubic(image, truth.shape[:2])
  assert psnr(found.mean, truth) > psnr(plain, truth) + 0.5
  assert rms(found.samples[0] - found.samples[1]) > 1e-3
  for sample in found.samples:
    assert consistency(sample, image) > 40


def test_without_orientations_the_mean_is_linear(upscaler, image):
  low = jnp.asarray(image[..., 0])
  # But for the contrast's floor, which the linear prediction does not see.
  one, double = (
    planes.mean_plane(upscaler, gain * low, num_orientations=0)
    for gain in (1.0, 2.0)
  )
  np.testing.assert_allclose(double, 2 * one, atol=1e-4)


def test_sources_are_the_squares_around_pixels():
  low = np.arange(42, dtype=np.float32).reshape(6, 7)
  found = planes.sources_at(jnp.asarray(low), jnp.arange(42), 5)
  squares = windows(np.pad(low, 2, mode='edge'), 5)
  np.testing.assert_array_equal(found, squares.reshape(42, 25))
  np.testing.assert_array_equal(found[23].reshape(5, 5), low[1:6, :5])


@pytest.mark.long
def test_a_blur_kernel_is_undone(truth):
  kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
  downscaling = make_downscaling((32, 32), (96, 96), kernel=kernel)
  image = np.asarray(downscaling.apply(truth)).clip(-1, 1)
  upscaler = learn_upscaler(
    np.tile(image, (2, 2, 1)),
    small.options(factor=3, mean_only=True),
    kernel=kernel,
  )
  mean = mean_of(upscaler, image, 3)
  again = np.asarray(downscaling.apply(mean)).clip(-1, 1)
  assert psnr(again, image) > 45
  assert psnr(mean, truth) > psnr(bicubic(image, (96, 96)), truth)
  with pytest.raises(ValueError, match=r'`factor` must be 3.*got 2'):
    mean_of(upscaler, image, 2)


# Samples.


@pytest.fixture(scope='module')
def upscaled(upscaler, image):
  return inference.upscale(
    KEY, upscaler, image, factor=2, num_samples=8, num_steps=6
  )


def test_samples_differ_around_the_mean(upscaled, truth):
  samples = upscaled.samples
  assert samples.shape == (8, *truth.shape)
  spread = rms(samples - samples.mean(axis=0))
  assert spread > 0.01
  # Their own mean is off by spread / sqrt(8), if by nothing else.
  assert rms(samples.mean(axis=0) - upscaled.mean) < 0.6 * spread


def test_samples_become_the_given_image_too(upscaled, image):
  for sample in upscaled.samples:
    assert np.abs(sample).max() <= 1
    assert consistency(sample, image) > 40


def test_samples_differ_most_where_the_mean_is_wrong(upscaled, truth):
  spread = upscaled.samples.std(axis=0).ravel()
  error = np.abs(upscaled.mean - truth).ravel()
  order = np.argsort(spread)
  half = len(order) // 2
  assert error[order[half:]].mean() > 2 * error[order[:half]].mean()


def test_the_scale_is_about_the_error_of_the_mean(upscaler, image, truth):
  low = jnp.asarray(image[..., 0])
  mean = planes.mean_plane(upscaler, low)
  error = np.abs(mean - truth[..., 0])
  scale = np.asarray(planes.scale_plane(upscaler, mean))
  order = np.argsort(scale, axis=None)
  errors, scales = (
    np.array([part.mean() for part in np.array_split(v.ravel()[order], 3)])
    for v in (error, scale)
  )
  assert np.all(np.diff(errors) > 0)
  # Flat ground has hardly an error, and a small scale nevertheless.
  assert np.all(errors < 2.5 * scales)
  assert errors[-1] > 0.4 * scales[-1]


def test_a_seed_makes_the_same_samples_however_many(upscaler, upscaled, image):
  fewer, other = (
    inference.upscale(
      key, upscaler, image, factor=2, num_samples=2, num_steps=6
    )
    for key in (KEY, jax.random.key(1))
  )
  np.testing.assert_array_equal(fewer.samples, upscaled.samples[:2])
  np.testing.assert_array_equal(fewer.mean, other.mean)
  assert np.all(np.any(fewer.samples != other.samples, axis=(1, 2, 3)))


def test_the_denoiser_is_hardly_random_where_the_noise_is_large(
  upscaler, upscaled, image
):
  # One step from the largest noise level is the denoised plane there.
  found = inference.upscale(
    KEY, upscaler, image, factor=2, num_samples=2, num_steps=1
  )
  spread = rms(upscaled.samples[0] - upscaled.samples[1])
  assert rms(found.samples[0] - found.samples[1]) < 0.4 * spread


def test_samples_have_no_larger_steps_at_edges_of_blocks(upscaled):
  # Blocks of one sample begin at every fourth pixel.
  residuals = (upscaled.samples - upscaled.mean)[..., 0]
  for residual in residuals:
    steps = np.abs(np.diff(residual, axis=0)).mean(axis=1)[8:-8]
    by_place = [steps[place::4].mean() for place in range(4)]
    assert max(by_place) < 1.5 * min(by_place)


@pytest.mark.long
def test_samples_of_two_doublings_differ(upscaler, colours):
  found = inference.upscale(
    KEY, upscaler, colours, factor=4, num_samples=2, num_steps=2
  )
  assert found.samples.shape == (2, 128, 144, 3)
  assert rms(found.samples[0] - found.samples[1]) > 1e-3
  for sample in found.samples:
    assert consistency(sample, colours) > 40


def test_samples_have_the_colours_of_the_mean(upscaler, colours):
  found = inference.upscale(
    KEY, upscaler, colours, factor=1.5, num_samples=1, num_steps=2
  )
  assert found.samples.shape == (1, 48, 54, 3)
  inside = (np.abs(found.samples[0]) < 1) & (np.abs(found.mean) < 1)
  inside = inside.all(axis=-1)
  # Luminance alone is drawn: all three channels move as one.
  moved = (found.samples[0] - found.mean)[inside]
  # But beside pixels that are clipped in one channel.
  apart = np.abs(moved - moved[:, :1]).max(axis=-1)
  assert np.mean(apart > 1e-2) < 0.02


# What is refused.


def test_wrong_arguments_are_refused(upscaler, image):
  mean_only = upscaler.replace(residuals=None)

  def refused(match, image=image, **options):
    with pytest.raises(ValueError, match=match):
      inference.upscale(KEY, mean_only, image, **{'factor': 2, **options})

  refused(r'`factor`.*\[1\.1, 8\.0\].*got 9', factor=9)
  refused(r'`factor`.*got 1', factor=1)
  refused('`num_samples` must be 0.*mean alone', num_samples=1)
  refused('`num_samples`.*-1', num_samples=-1)
  refused('`image`.*finite', image=np.full((32, 32, 1), np.nan, np.float32))
  refused(r'`image`.*\[0, 255\]', image=np.full((32, 32, 3), 200.0))
