"""Paths of noise levels that do not fit are refused before the work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling import (
  decode,
  encode,
  sample_heun,
  sample_langevin,
)
from internal_diffusion.sampling.path import check_path

SIGMAS = karras_sigmas(4)
X = jnp.ones((2, 3))


def denoise_fn(x, sigma):
  return x / (1 + sigma**2)


@pytest.mark.parametrize(
  'sigmas',
  [
    SIGMAS[:-1],  # Does not end in 0.
    SIGMAS[::-1],
    np.zeros(0),
    np.float32([0]),
    np.float32([np.inf, 1, 0]),
    np.float32([2, -1, 0]),
    np.zeros((3, 2)),
  ],
)
def test_samplers_refuse_what_is_no_path(sigmas):
  with pytest.raises(ValueError, match=r'`sigmas`.*ends in 0, got'):
    sample_heun(jax.random.key(0), denoise_fn, X, sigmas)
  with pytest.raises(ValueError, match='`sigmas`'):
    sample_langevin(jax.random.key(0), denoise_fn, X, sigmas, snr=0.1)


@pytest.mark.parametrize('function', [encode, decode])
def test_encodings_need_a_falling_path(function):
  with pytest.raises(ValueError, match='must fall'):
    function(denoise_fn, X, np.float32([1, 2, 0]))
  with pytest.raises(ValueError, match='ends in 0'):
    function(denoise_fn, X, SIGMAS[:-1])


def test_a_list_is_a_path_and_a_path_may_rise():
  found = check_path([2.0, 1.0, 1.5, 0.0])
  np.testing.assert_array_equal(found, np.float32([2, 1, 1.5, 0]))


def test_traced_paths_are_the_callers():
  made = jax.jit(lambda s: sample_heun(jax.random.key(0), denoise_fn, X, s))
  assert made(SIGMAS).shape == X.shape


def test_a_denoiser_of_another_shape_is_refused():
  with pytest.raises(ValueError, match=r'shape of x, \(2, 3\), got \(2, 1\)'):
    sample_heun(jax.random.key(0), lambda x, s: x[:, :1], X, SIGMAS)
