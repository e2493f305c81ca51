"""Upscaled images: what the given one fixes, and what it leaves open."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import (
  super_resolution,
  upscaler_samples,
  upscaler_training,
)
from internal_diffusion.applications import upscaler as upscaler_lib
from internal_diffusion.configs import upscale as upscale_config
from internal_diffusion.data import operators
from internal_diffusion.evaluation.fidelity import psnr

KEY = jax.random.key(0)
FACTORS = [1.5, 2, 2.7, 3, 4]


def small_config(*, rest=True):
  config = upscale_config.get_config(preset='fast')
  config.source_size = 5
  for part in (config.mean, config.deviation, config.rest):
    part.num_steps, part.max_minutes = 150, 0.0
    part.steps_per_call = 150
    part.num_devices = 1
    part.batch_size = part.num_references = 128
    part.network.width, part.network.depth = 64, 1
    part.network.embedding_dim = 16
    part.optimizer.learning_rate = 1e-2
    part.optimizer.warmup_steps = 20
  if not rest:
    config.rest.num_steps = 0
  return config


@pytest.fixture(scope='module')
def truth():
  # Hard edges at every angle.
  blobs = skimage.data.binary_blobs(384, blob_size_fraction=0.15, rng=0)
  plane = blobs.astype(np.float32).reshape(96, 4, 96, 4).mean(axis=(1, 3))
  return 0.6 * plane[..., None] - 0.3


@pytest.fixture(scope='module')
def image(truth):
  size = tuple(side // 2 for side in truth.shape[:2])
  degradation = operators.make_downscaling(size, truth.shape[:2])
  return np.asarray(degradation.apply(truth)).clip(-1, 1)


@pytest.fixture(scope='module')
def colours():
  pixels = skimage.data.astronaut()[70:102, 200:236]
  return pixels.astype(np.float32) / 127.5 - 1


@pytest.fixture(scope='module')
def upscaler(image):
  return upscaler_training.train_upscaler(image, small_config())


def mean_of(upscaler, image, factor=2):
  return super_resolution.upscale(KEY, upscaler, image, factor=factor).mean


def consistency(high, low):
  degradation = operators.make_downscaling(low.shape[:2], high.shape[:2])
  return psnr(np.clip(degradation.apply(high), -1, 1), low)


def bicubic(image, size):
  degradation = operators.make_downscaling(image.shape[:2], size)
  return np.asarray(degradation.interpolate(image)).clip(-1, 1)


def rms(values):
  return float(np.sqrt(np.mean(np.square(values))))


# The mean.


def test_mean_is_nearer_to_the_truth_than_bicubic(upscaler, image, truth):
  mean = mean_of(upscaler, image)
  plain = bicubic(image, truth.shape[:2])
  assert psnr(mean, truth) > psnr(plain, truth) + 1


def test_parts_of_a_plane_leave_no_seams(upscaler, image, monkeypatch):
  low = jnp.asarray(image[..., 0])
  whole = upscaler_lib.upscale_plane(upscaler, low)
  monkeypatch.setattr(upscaler_lib, '_CHUNK', 100)
  upscaler_lib._predict.clear_cache()
  parts = upscaler_lib.upscale_plane(upscaler, low)
  upscaler_lib._predict.clear_cache()
  np.testing.assert_allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize(('factor', 'side'), [(1.5, 64), (2.7, 20), (4, 24)])
def test_any_factor_is_nearer_to_the_truth_than_bicubic(
  upscaler, truth, factor, side
):
  high = truth[: round(factor * side), : round(factor * side)]
  degradation = operators.make_downscaling((side, side), high.shape[:2])
  low = np.asarray(degradation.apply(high))
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
  # The network says a little even where there is no contrast.
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


def test_learning_again_is_the_same(image):
  config = small_config(rest=False)
  config.mean.num_steps = config.mean.steps_per_call = 10
  first, again = (
    mean_of(upscaler_training.train_upscaler(image, config), image)
    for _ in range(2)
  )
  np.testing.assert_array_equal(first, again)


def test_rounds_learn_from_the_own_result_too(image, truth):
  config = small_config(rest=False)
  config.mean.num_steps, config.mean.steps_per_call = 100, 25

  def trained(num_rounds):
    config.num_rounds = num_rounds
    return upscaler_training.train_upscaler(image, config)

  once, twice = map(trained, (1, 2))
  degradation = operators.make_downscaling((24, 24), (96, 96))
  low = np.asarray(degradation.apply(truth))
  first, second = (mean_of(upscaler, low, 4) for upscaler in (once, twice))
  assert rms(first - second) > 1e-3
  assert psnr(second, truth) > psnr(bicubic(low, (96, 96)), truth)


def test_the_closed_form_needs_no_training(image, truth):
  config = small_config()
  config.closed_form.num_pairs = 2048
  upscaler = upscaler_training.closed_form_upscaler(image, config)
  made = super_resolution.upscale(
    KEY, upscaler, image, factor=2, num_samples=2, num_steps=3
  )
  plain = bicubic(image, truth.shape[:2])
  assert psnr(made.mean, truth) > psnr(plain, truth) + 0.5
  assert rms(made.samples[0] - made.samples[1]) > 1e-3
  for sample in made.samples:
    assert consistency(sample, image) > 40


def test_a_blur_kernel_is_undone(truth):
  kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
  degradation = operators.make_downscaling((32, 32), (96, 96), kernel=kernel)
  image = np.asarray(degradation.apply(truth)).clip(-1, 1)
  upscaler = upscaler_training.train_upscaler(
    np.tile(image, (2, 2, 1)), small_config(rest=False), kernel=kernel, factor=3
  )
  mean = mean_of(upscaler, image, 3)
  again = np.asarray(degradation.apply(mean)).clip(-1, 1)
  assert psnr(again, image) > 45
  assert psnr(mean, truth) > psnr(bicubic(image, (96, 96)), truth)
  with pytest.raises(ValueError, match=r'`factor` must be 3.*got 2'):
    mean_of(upscaler, image, 2)


# Samples.


@pytest.fixture(scope='module')
def upscaled(upscaler, image):
  return super_resolution.upscale(
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


def test_the_deviation_is_about_the_error_of_the_mean(upscaler, image, truth):
  low = jnp.asarray(image[..., 0])
  error = np.abs(upscaler_lib.upscale_plane(upscaler, low) - truth[..., 0])
  deviation = np.asarray(upscaler_samples.deviation_of(upscaler, low))
  order = np.argsort(deviation, axis=None)
  errors, deviations = (
    np.array([part.mean() for part in np.array_split(v.ravel()[order], 3)])
    for v in (error, deviation)
  )
  assert np.all(np.diff(errors) > 0)
  # What is flat has hardly an error, and some deviation nevertheless.
  assert np.all(errors < 2.5 * deviations)
  assert errors[-1] > 0.4 * deviations[-1]


def test_a_seed_makes_the_same_samples_however_many(upscaler, upscaled, image):
  fewer, other = (
    super_resolution.upscale(
      key, upscaler, image, factor=2, num_samples=2, num_steps=6
    )
    for key in (KEY, jax.random.key(1))
  )
  np.testing.assert_array_equal(fewer.samples, upscaled.samples[:2])
  np.testing.assert_array_equal(fewer.mean, other.mean)
  assert np.all(np.any(fewer.samples != other.samples, axis=(1, 2, 3)))


def test_where_noise_drowns_everything_the_denoiser_says_the_mean(
  upscaler, upscaled, image
):
  # One step from the largest noise level is the denoiser's answer there.
  made = super_resolution.upscale(
    KEY, upscaler, image, factor=2, num_samples=1, num_steps=1
  )
  spread = rms(upscaled.samples - upscaled.mean)
  assert rms(made.samples[0] - made.mean) < 0.3 * spread


def test_samples_of_two_doublings_are_of_their_own(upscaler, colours):
  made = super_resolution.upscale(
    KEY, upscaler, colours, factor=4, num_samples=2, num_steps=2
  )
  assert made.samples.shape == (2, 128, 144, 3)
  assert rms(made.samples[0] - made.samples[1]) > 1e-3
  for sample in made.samples:
    assert consistency(sample, colours) > 40


def test_samples_have_the_colours_of_the_mean(upscaler, colours):
  made = super_resolution.upscale(
    KEY, upscaler, colours, factor=1.5, num_samples=1, num_steps=2
  )
  assert made.samples.shape == (1, 48, 54, 3)
  inside = (np.abs(made.samples[0]) < 1) & (np.abs(made.mean) < 1)
  inside = inside.all(axis=-1)
  # Luminance alone is drawn: all three channels move as one.
  moved = (made.samples[0] - made.mean)[inside]
  np.testing.assert_allclose(moved[:, 0], moved[:, 1], atol=1e-2)
  np.testing.assert_allclose(moved[:, 0], moved[:, 2], atol=1e-2)


def test_a_second_image_of_the_size_compiles_nothing(upscaler, image, caplog):
  def upscaled(key, image):
    super_resolution.upscale(
      key, upscaler, image, factor=3, num_samples=1, num_steps=2
    )

  upscaled(KEY, image)
  with jax.log_compiles(True), caplog.at_level(logging.WARNING):
    upscaled(jax.random.key(1), image[::-1].copy())
  assert not [r for r in caplog.records if 'Compiling' in r.getMessage()]


# What is refused.


def test_wrong_arguments_are_refused(image):
  config = small_config(rest=False)
  config.mean.num_steps = config.mean.steps_per_call = 1
  upscaler = upscaler_training.train_upscaler(image, config)

  def refused(match, image=image, **options):
    with pytest.raises(ValueError, match=match):
      super_resolution.upscale(KEY, upscaler, image, **{'factor': 2, **options})

  refused(r'`factor`.*\[1\.1, 8\.0\].*got 9', factor=9)
  refused(r'`factor`.*got 1', factor=1)
  refused('`num_samples` must be 0.*mean alone', num_samples=1)
  refused('`num_samples`.*-1', num_samples=-1)
  refused('`image`.*finite', image=np.full((32, 32, 1), np.nan, np.float32))
  refused(r'`image`.*\[0, 255\]', image=np.full((32, 32, 3), 200.0))


def test_wrong_training_is_refused(image):
  config = small_config()

  def refused(match, image=image, config=config, **options):
    with pytest.raises(ValueError, match=match):
      upscaler_training.train_upscaler(image, config, **options)

  refused('`factor` must be 2.*got 3', factor=3)
  refused('constant', image=np.zeros((40, 40, 1), np.float32))
  refused('12x12.*24x24', image=image[:12, :12])
  refused('`image`.*finite', image=np.full((32, 32, 1), np.nan, np.float32))
  wrong = small_config()
  wrong.source_size = 4
  refused('`source_size`.*4', config=wrong)
  wrong = small_config()
  wrong.rest.network.width = 0
  refused(r'`network\.width`.*0', config=wrong)
  with pytest.raises(ValueError, match=r'preset.*quick'):
    upscale_config.get_config(preset='quick')
