"""States that are not finite: the step is named, on every way to sample."""

import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion import sampling
from internal_diffusion.diffusion import processes, schedules
from internal_diffusion.sampling import NonFiniteStateError, coarse_to_fine

SIGMAS = schedules.karras_sigmas(6, sigma_max=10.0)
KEY = jax.random.key(0)


@flax.struct.dataclass
class Breaking:
  """The denoiser of N(0, 1), but NaN for noise below a level.

  Only the first sample of the batch is affected.
  """

  level: jax.Array

  def __call__(self, x, sigma, cond=None):
    is_first = jnp.arange(len(x)).reshape(-1, *(1,) * (x.ndim - 1)) == 0
    is_broken = is_first & (sigma < self.level)
    return jnp.where(is_broken, jnp.nan, x / (1 + sigma**2))


# Fails at the fourth noise level, so in the step that begins there.
BREAKING = Breaking(jnp.asarray((SIGMAS[2] + SIGMAS[3]) / 2))
SAMPLERS = {
  'euler': sampling.sample_euler,
  'ddpm': sampling.sample_ddpm,
  'sde': sampling.sample_euler_maruyama,
  'consistency': sampling.sample_consistency,
  'langevin': functools.partial(
    sampling.sample_langevin, num_corrections=1, step_size=0.1
  ),
  'reverse_sde': functools.partial(
    sampling.sample_reverse_sde, process=processes.ve_process()
  ),
}


@pytest.mark.parametrize('name', SAMPLERS)
def test_every_sampler_names_the_step(name):
  x = 10 * jax.random.normal(KEY, (3, 2))
  with pytest.raises(NonFiniteStateError, match='Step 4 of 6') as caught:
    SAMPLERS[name](KEY, BREAKING, x, SIGMAS)
  assert caught.value.step == 4
  assert '1 of 3 samples' in str(caught.value)
  assert f'from noise level {SIGMAS[3]:.4g} to {SIGMAS[4]:.4g}' in str(
    caught.value
  )


def test_heun_fails_where_its_second_evaluation_does():
  with pytest.raises(NonFiniteStateError, match='Step 3 of 6'):
    sampling.sample_heun(KEY, BREAKING, jnp.ones((2, 2)), SIGMAS)


def test_the_given_samples_are_checked_too():
  x = jnp.ones((3, 2)).at[1].set(jnp.inf)
  with pytest.raises(NonFiniteStateError, match='`x` must be finite') as caught:
    sampling.sample_euler(KEY, Breaking(jnp.zeros(())), x, SIGMAS)
  assert caught.value.step == 0


def test_compiled_sampling_names_the_step():
  sample_fn = sampling.make_sample_fn(
    SIGMAS, sample_shape=(2,), chunk_size=4, sampler=sampling.sample_euler
  )
  with pytest.raises(NonFiniteStateError, match='Step 4 of 6'):
    sample_fn(BREAKING, KEY, num_samples=4)
  found = sample_fn(Breaking(jnp.zeros(())), KEY, num_samples=4)
  assert np.isfinite(found).all()


def test_encoding_and_density_name_the_step():
  # Upward: the first levels are the low ones.
  with pytest.raises(NonFiniteStateError, match='Step 1 of 5'):
    sampling.encode(BREAKING, jnp.ones((2, 2)), SIGMAS)
  with pytest.raises(NonFiniteStateError, match='Step 1 of 5'):
    sampling.log_density(BREAKING, jnp.ones((2, 2)), SIGMAS[:-1][::-1])


def test_bridges_and_images_name_the_step():
  path = sampling.bridge_sigmas(4, sigma_max=1.0)
  with pytest.raises(NonFiniteStateError, match='Step 3 of 4'):
    sampling.transport(
      KEY, Breaking(jnp.float32(0.6)), jnp.ones((2, 2)), None, sigmas=path
    )
  level = coarse_to_fine.Level(Breaking(jnp.float32(0.6)), 1.0, 1.0)
  with pytest.raises(NonFiniteStateError, match='of 4, from noise level'):
    coarse_to_fine.sample_levels(
      KEY, [level], [(4, 4)], num_channels=1, num_steps=4
    )
