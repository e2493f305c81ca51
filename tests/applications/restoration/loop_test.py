import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.restoration import loop
from internal_diffusion.applications.restoration.loop import (
  falling,
  restore_by_splitting,
)
from internal_diffusion.applications.restoration.mixture_prior import (
  fit_mixture_prior,
)
from internal_diffusion.data.pointwise import Identity, make_masking
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import LinearObservation
from tests.applications.restoration.small_pictures import (
  SIZE,
  make_noise,
  make_picture,
  psnr,
)

KEY = jax.random.key(0)
CLEAN = make_picture()
NOISY = jnp.asarray(CLEAN + make_noise(20))


@with_own_settings
def restore(image, constraints=(), sigmas=(0.2, 0.1, 0.05, 0.03), **options):
  return restore_by_splitting(KEY, image, constraints, sigmas, **options)


def test_levels_fall_by_a_constant_ratio():
  levels = falling(51.0, 2.55, 5)
  np.testing.assert_allclose(levels[[0, -1]], [0.4, 0.02], rtol=1e-5)
  np.testing.assert_allclose(levels[1:] / levels[:-1], 0.05**0.25, rtol=1e-5)


def test_what_is_known_holds_at_the_end():
  seen = np.random.default_rng(0).uniform(size=SIZE) < 0.6
  operator = make_masking(seen)
  observed = operator.apply(jnp.asarray(CLEAN))
  first = operator.interpolate(observed)
  found, _ = restore(first, [LinearObservation(operator, observed)])
  np.testing.assert_allclose(np.asarray(found)[seen], CLEAN[seen], atol=1e-6)
  assert psnr(found, CLEAN) > psnr(first, CLEAN)


def test_a_noisy_observation_is_denoised():
  sigma = 2 * 20 / 255
  constraint = LinearObservation(Identity(SIZE), NOISY, jnp.float32(sigma))
  found, _ = restore(NOISY, [constraint])
  assert psnr(found, CLEAN) > psnr(NOISY, CLEAN) + 2


def test_one_step_is_one_evaluation_of_the_prior():
  found, prior = restore(NOISY, sigmas=(0.2,))
  wanted = prior(NOISY[None], jnp.float32(0.2))[0]
  np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(('num', 'fits'), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_the_prior_is_fitted_again_at_half_of_the_level(monkeypatch, num, fits):
  calls = []

  def fit(key, image, *, noise_std, start, num_steps, **options):
    calls.append((noise_std, start is None, num_steps))
    return fit_mixture_prior(
      key, image, noise_std=noise_std, start=start, num_steps=1, **options
    )

  monkeypatch.setattr(loop, 'fit_mixture_prior', fit)
  sigmas = falling(20, 5, num)
  restore(NOISY, sigmas=sigmas)
  assert len(calls) == fits
  np.testing.assert_allclose(
    [call[0] for call in calls], sigmas[::3] / 2, rtol=1e-6
  )
  assert [call[1] for call in calls] == [True] + [False] * (fits - 1)
  assert calls[0][2] > calls[-1][2] or fits == 1


def test_few_components_and_a_larger_distance():
  _, prior = restore(NOISY, sigmas=(0.2,), num_components=1, stride=3)
  assert prior.stride == 3
  assert len(prior.mixture.means) == 1
