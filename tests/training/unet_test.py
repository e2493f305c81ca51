"""The convolutional denoiser: shapes, locality, training, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.unet import ConvolutionalDenoiser, UNet
from internal_diffusion.options import replace
from internal_diffusion.training.options import NoiseOptions, TrainOptions
from internal_diffusion.training.unet import draw_crop, fit_unet

NETWORK = UNet(width=8, depth=1)
OPTIONS = replace(
  TrainOptions(),
  batch_size=16,
  num_steps=200,
  steps_per_call=100,
  num_devices=1,
)


def stripes():
  rows = np.sign(np.sin(np.arange(32) * np.pi / 4 + 0.1))
  return 0.5 * np.tile(rows[:, None, None], (1, 32, 1)).astype(np.float32)


@pytest.fixture(scope='module')
def model():
  noise = NoiseOptions(sigma_min=0.05, sigma_max=5.0)
  return fit_unet(
    stripes(), OPTIONS, network=NETWORK, noise=noise, crop_size=16
  ).model


def test_before_training_it_is_the_skip_connection():
  image = jnp.asarray(stripes())
  model = ConvolutionalDenoiser.create(jax.random.key(0), image, NETWORK)
  x = image[None] + 0.3
  mean, variance = float(image.mean()), float(image.var())
  wiener = mean + variance / (variance + 0.3**2) * (x - mean)
  np.testing.assert_allclose(model(x, 0.3), wiener, atol=1e-5)


def test_it_denoises_better_than_the_skip_connection(model):
  image = jnp.asarray(stripes())[None]
  x = image + 0.5 * jax.random.normal(jax.random.key(1), image.shape)
  error = float(jnp.mean((jax.jit(model.__call__)(x, 0.5) - image) ** 2))
  # The Wiener filter of independent pixels leaves s^2 n^2 / (s^2 + n^2).
  assert error < 0.4 * 0.125


def test_images_of_other_sizes_and_sides_that_do_not_fit(model):
  assert model(jnp.zeros((2, 8, 20, 1)), jnp.ones(2)).shape == (2, 8, 20, 1)
  with pytest.raises(ValueError, match='multiples of 2'):
    model(jnp.zeros((1, 9, 8, 1)), 1.0)
  noise = NoiseOptions()
  for size in (15, 64):
    with pytest.raises(ValueError, match='crop_size'):
      fit_unet(stripes(), OPTIONS, network=NETWORK, noise=noise, crop_size=size)


def test_attention_sees_the_whole_image():
  network = UNet(width=8, depth=1, attention=True)
  model = ConvolutionalDenoiser.create(
    jax.random.key(0), jnp.asarray(stripes()), network
  )
  assert model(jnp.zeros((1, 8, 8, 1)), 1.0).shape == (1, 8, 8, 1)
  names = str(jax.tree.structure(model.params))
  assert 'Attention' in names


def test_crops_are_of_the_image_and_mirrored_half_the_time():
  image = jnp.arange(30.0).reshape(5, 6, 1)
  keys = jax.random.split(jax.random.key(0), 200)
  crops = jax.vmap(lambda k: draw_crop(k, image, size=3))(keys)
  step = np.asarray(crops[:, 0, 1, 0] - crops[:, 0, 0, 0])
  assert set(np.unique(step)) == {-1.0, 1.0}
  assert 0.3 < (step > 0).mean() < 0.7
  corner = np.asarray(crops.min(axis=(1, 2, 3)))
  assert len(np.unique(corner)) == 3 * 4
