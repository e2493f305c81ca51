"""Encoders: the linear one is optimal, a variational one follows a curve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.latent import PrincipalEncoder
from internal_diffusion.options import replace
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.latent import (
  fit_encoder,
  fit_gaussian_decoder,
)
from internal_diffusion.training.options import TrainOptions

OPTIONS = replace(
  TrainOptions(),
  batch_size=256,
  num_steps=500,
  steps_per_call=250,
  num_devices=1,
)


def ring(num):
  angle = np.linspace(0, np.pi, num)
  return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def error(encoder, x):
  x = jnp.asarray(x)
  return float(jnp.mean((encoder.decode(encoder.encode(x)) - x) ** 2))


def test_the_linear_error_is_the_variance_that_is_left():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(4000, 3)).astype(np.float32) @ np.diag([3.0, 2.0, 0.5])
  x = x.astype(np.float32)
  encoder = PrincipalEncoder.create(x, latent_dim=2)
  left = np.linalg.eigvalsh(np.cov(x.T, ddof=0))[0]
  np.testing.assert_allclose(error(encoder, x), left / 3, rtol=1e-3)
  z = np.asarray(encoder.encode(jnp.asarray(x)))
  assert z.shape == (4000, 2)
  np.testing.assert_allclose((z**2).mean(), 1, rtol=1e-3)
  whole = PrincipalEncoder.create(x, latent_dim=3)
  assert error(whole, x) < 1e-8


def test_a_curve_needs_one_number():
  # Half a circle: one linear coordinate leaves its height.
  x = ring(500)
  found = fit_encoder(
    point_examples(x), OPTIONS, latent_dim=1, noise_std=0.05, width=48
  ).model
  linear = PrincipalEncoder.create(x, latent_dim=1)
  assert error(found, x) < 0.1 * error(linear, x)
  z = found.encode(jnp.asarray(x))
  assert 0.3 < float(jnp.std(z)) < 2.0


@pytest.mark.parametrize('latent_dim', [0, 3])
def test_a_latent_longer_than_the_vector_is_refused(latent_dim):
  with pytest.raises(ValueError, match='latent_dim'):
    PrincipalEncoder.create(ring(10), latent_dim=latent_dim)
  with pytest.raises(ValueError, match='latent_dim'):
    fit_encoder(point_examples(ring(10)), OPTIONS, latent_dim=latent_dim)


def test_the_posterior_has_less_variance_than_the_prior():
  x = ring(100)
  model = fit_encoder(
    point_examples(x), replace(OPTIONS, num_steps=50), latent_dim=2, width=16
  ).model
  mean, log_variance = jax.jit(type(model).posterior)(model, jnp.asarray(x))
  assert mean.shape == log_variance.shape == (100, 2)
  assert (np.asarray(log_variance) < 0).all()


def test_the_residual_has_the_scale_that_the_latent_implies():
  # The second coordinate is noise whose scale is that of the first.
  rng = np.random.default_rng(0)
  first = rng.choice([-2.0, -0.2, 0.2, 2.0], size=4000)
  x = np.stack([first, 0.1 * abs(first) * rng.normal(size=4000)], axis=-1)
  x = x.astype(np.float32)
  encoder = PrincipalEncoder.create(x, latent_dim=1)
  model = fit_gaussian_decoder(
    point_examples(x), OPTIONS, encoder=encoder
  ).model
  z = model.encode(jnp.asarray([[2.0, 0.0], [0.2, 0.0]]))
  drawn = np.asarray(model.sample(jax.random.key(0), jnp.repeat(z, 4000, 0)))
  loud, quiet = drawn.reshape(2, 4000, 2)
  np.testing.assert_allclose(loud[:, 1].std(), 0.2, rtol=0.15)
  np.testing.assert_allclose(quiet[:, 1].std(), 0.02, rtol=0.15)
  np.testing.assert_allclose(quiet[:, 0], 0.2, atol=0.02)
  # The mean is the encoder's own, for noise of mean 0.
  np.testing.assert_allclose(model.decode(z), encoder.decode(z), atol=0.05)
  # The density is that of the draws.
  log_density = model.log_density(jnp.asarray(loud), jnp.repeat(z[:1], 4000, 0))
  entropy = -float(log_density.mean())
  stds = np.exp(np.asarray(model.residual(z[:1])[1]) / 2)
  expected = np.log(stds).sum() + np.log(2 * np.pi * np.e)
  np.testing.assert_allclose(entropy, expected, rtol=0.05)
