"""Opposite borders that meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.sampling import full_image, samplers
from internal_diffusion.sampling.wrapping import WrappedBorder
from internal_diffusion.types import Condition

KEY = jax.random.key(0)
IMAGE = jax.random.normal(KEY, (1, 24, 36, 3))
SIGMAS = jnp.array([2.0, 1.0, 0.5, 0.0])


def lifted():
  def patch_fn(x, sigma, spots):
    return jnp.sin(3 * x) * jnp.mean(x**2, axis=1, keepdims=True)

  return full_image.lift(full_image.from_whole(patch_fn, patch_size=7))


def test_a_wrapped_border_commutes_with_shifts():
  denoise_fn = WrappedBorder(margin=7).wrap(lifted())
  shift = (0, 5, 11, 0)
  found = denoise_fn(jnp.roll(IMAGE, shift, range(4)), 1.0)
  wanted = jnp.roll(denoise_fn(IMAGE, 1.0), shift, range(4))
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_samplers_wrap_the_border():
  shift = (0, 5, 11, 0)
  found, wanted = (
    samplers.sample_euler(
      KEY, lifted(), x, SIGMAS, constraints=[WrappedBorder(margin=7)]
    )
    for x in (jnp.roll(IMAGE, shift, range(4)), IMAGE)
  )
  np.testing.assert_allclose(
    found, jnp.roll(wanted, shift, range(4)), atol=1e-4
  )


def test_a_wrapped_border_pads_the_coarser_level_too():
  coarse = IMAGE[:, ::2, ::2]

  def denoiser(x, sigma, cond):
    return jnp.repeat(jnp.repeat(cond.image, 2, 1), 2, 2)

  found = WrappedBorder(margin=6).wrap(denoiser)(
    IMAGE, 1.0, Condition(image=coarse)
  )
  np.testing.assert_array_equal(
    found, jnp.repeat(jnp.repeat(coarse, 2, 1), 2, 2)
  )


def test_a_wrapped_border_needs_a_margin_or_a_reach():
  with pytest.raises(ValueError, match='`margin`'):
    WrappedBorder().wrap(lifted())
