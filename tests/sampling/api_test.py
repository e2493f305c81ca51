"""The compiled sampling function: compiles once, samples are independent."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import schedules
from internal_diffusion.sampling import api, samplers
from internal_diffusion.types import Condition

SIGMAS = schedules.karras_sigmas(6, sigma_max=10.0)


@flax.struct.dataclass
class Normal:
  """The denoiser of N(mean, 1), the mean given by the condition if any."""

  mean: jax.Array

  def __call__(self, x, sigma, cond=None):
    mean = self.mean if cond is None else cond.vector
    return mean + (x - mean) / (1 + sigma**2)

  def decode(self, x):
    return jnp.concatenate([x, 10 * x[:, :1]], axis=1)


def normal(mean=0.0):
  return Normal(jnp.full((1, 3), mean))


def make(chunk_size=8, **options):
  return api.make_sample_fn(
    SIGMAS, sample_shape=(3,), chunk_size=chunk_size, **options
  )


def test_no_later_call_compiles():
  sample_fn = make()
  sample_fn(normal(), jax.random.key(0), num_samples=8)
  with measure_compilation() as meter:
    # Another model, another number of samples, an equal sampling function.
    sample_fn(normal(3.0), jax.random.key(1), num_samples=30)
    make()(normal(), jax.random.key(2), num_samples=1)
  assert meter.count == 0


def test_samples_are_those_of_the_probability_flow():
  model = GaussianDenoiser.create([1.0, -2.0], [[2.0, 0.7], [0.7, 1.0]])
  sigmas = schedules.karras_sigmas(64, sigma_max=10.0)
  sample_fn = api.make_sample_fn(
    sigmas, sample_shape=(2,), chunk_size=16, return_trajectory=True
  )
  states = sample_fn(model, jax.random.key(0), num_samples=16)
  expected = model.flow(states[:, 0], sigmas[0])
  np.testing.assert_allclose(states[:, -1], expected, atol=1e-2)


def test_chunks_do_not_change_the_samples():
  results = [
    make(chunk_size, sampler=samplers.sample_ddpm)(
      normal(), jax.random.key(0), num_samples=13
    )
    for chunk_size in (4, 13, 64)
  ]
  assert results[0].shape == (13, 3)
  for other in results[1:]:
    np.testing.assert_allclose(other, results[0], rtol=1e-5, atol=1e-5)


def test_more_samples_begin_with_the_same_ones():
  sample_fn = make()
  few = sample_fn(normal(), jax.random.key(0), num_samples=5)
  many = sample_fn(normal(), jax.random.key(0), num_samples=20)
  np.testing.assert_array_equal(many[:5], few)
  assert len(np.unique(many, axis=0)) == 20


@flax.struct.dataclass
class ReturnsCondition:
  def __call__(self, x, sigma, cond=None):
    del x, sigma
    return cond.vector


def test_each_sample_gets_its_condition():
  cond = Condition(vector=jax.random.normal(jax.random.key(1), (10, 3)))
  found = make(4)(ReturnsCondition(), jax.random.key(0), cond)
  np.testing.assert_allclose(found, cond.vector, rtol=1e-5)


def test_trajectory_and_decoding():
  sample_fn = make(decodes=True, return_trajectory=True)
  states = sample_fn(normal(), jax.random.key(0), num_samples=10)
  assert states.shape == (10, len(SIGMAS), 4)
  np.testing.assert_allclose(states[..., 3], 10 * states[..., 0], rtol=1e-6)
  last = make(decodes=True)(normal(), jax.random.key(0), num_samples=10)
  np.testing.assert_allclose(states[:, -1], last, rtol=1e-5, atol=1e-6)


def test_the_options_of_a_sampler_are_passed_on():
  def sample(**options):
    return make(**options)(normal(), jax.random.key(0), num_samples=4)

  np.testing.assert_array_equal(sample(), sample(s_churn=0.0))
  assert abs(sample(s_churn=5.0) - sample()).max() > 1e-3


def test_bad_calls():
  sample_fn = make()
  cond = Condition(vector=jnp.zeros((4, 3)))
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(normal(), jax.random.key(0))
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(normal(), jax.random.key(0), cond, num_samples=5)
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(normal(), jax.random.key(0), num_samples=0)
  with pytest.raises(ValueError, match='chunk_size'):
    make(chunk_size=0)


@pytest.mark.parametrize(
  'sigmas', [[1.0, 0.5], [1.0, -1.0, 0.0], [0.0], [], [1.0, 1.0, 0.0]]
)
def test_bad_paths(sigmas):
  with pytest.raises(ValueError, match='`sigmas`'):
    api.make_sample_fn(np.array(sigmas), sample_shape=(1,))


def test_a_path_may_rise():
  falling = np.asarray(schedules.karras_sigmas(18, sigma_max=100.0))
  sigmas = np.concatenate([falling[:-1], [1.0], falling[-8:]])
  found = api.make_sample_fn(sigmas, sample_shape=(3,), chunk_size=2000)(
    normal(2.0), jax.random.key(0), num_samples=2000
  )
  assert abs(found.mean() - 2) < 0.1
