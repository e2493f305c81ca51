import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import schedules
from internal_diffusion.sampling import api, samplers
from internal_diffusion.types import Condition

SIGMAS = schedules.karras_sigmas(6, sigma_max=10.0)


def make_counting_denoiser():
  """A denoiser of N(params, 1), and a list that grows when it is traced."""
  traces = []

  def denoise_fn(params, x, sigma, cond):
    traces.append(x.shape)
    mean = params if cond is None else cond.vector
    return mean + (x - mean) / (1 + sigma**2)

  return denoise_fn, traces


def make(chunk_size=8, **options):
  denoise_fn, traces = make_counting_denoiser()
  sample_fn = api.make_sample_fn(
    denoise_fn, SIGMAS, sample_shape=(3,), chunk_size=chunk_size, **options
  )
  return sample_fn, traces


def test_second_call_does_not_compile_again():
  sample_fn, traces = make()
  params = jnp.ones((1, 3))
  sample_fn(params, jax.random.key(0), num_samples=8)
  count = len(traces)
  sample_fn(2 * params, jax.random.key(1), num_samples=30)
  sample_fn(params, jax.random.key(2), num_samples=1)
  assert len(traces) == count


def test_chunks_do_not_change_the_samples():
  params = jnp.zeros((1, 3))
  results = [
    make(chunk_size, sampler=samplers.sample_ddpm)[0](
      params, jax.random.key(0), num_samples=13
    )
    for chunk_size in (4, 13, 64)
  ]
  assert results[0].shape == (13, 3)
  for other in results[1:]:
    np.testing.assert_allclose(other, results[0], rtol=1e-5, atol=1e-5)


def test_only_one_chunk_is_on_the_device():
  sample_fn, traces = make(chunk_size=4)
  sample_fn(jnp.zeros((1, 3)), jax.random.key(0), num_samples=100)
  assert {shape[0] for shape in traces} == {4}


def test_more_samples_begin_with_the_same_ones():
  sample_fn, _ = make()
  params = jnp.zeros((1, 3))
  few = sample_fn(params, jax.random.key(0), num_samples=5)
  many = sample_fn(params, jax.random.key(0), num_samples=20)
  np.testing.assert_array_equal(many[:5], few)
  assert len(np.unique(many, axis=0)) == 20


def test_each_sample_gets_its_condition():
  sample_fn = api.make_sample_fn(
    lambda params, x, sigma, cond: cond.vector,
    SIGMAS,
    sample_shape=(3,),
    chunk_size=4,
  )
  cond = Condition(vector=jax.random.normal(jax.random.key(1), (10, 3)))
  found = sample_fn(None, jax.random.key(0), cond)
  np.testing.assert_allclose(found, cond.vector, rtol=1e-5)


def test_trajectory_and_decoding():
  def decode_fn(params, x):
    del params
    return jnp.concatenate([x, 10 * x[:, :1]], axis=1)

  sample_fn, _ = make(decode_fn=decode_fn, return_trajectory=True)
  states = sample_fn(jnp.zeros((1, 3)), jax.random.key(0), num_samples=10)
  assert states.shape == (10, len(SIGMAS), 4)
  np.testing.assert_allclose(states[..., 3], 10 * states[..., 0], rtol=1e-6)
  plain, _ = make(decode_fn=decode_fn)
  last = plain(jnp.zeros((1, 3)), jax.random.key(0), num_samples=10)
  np.testing.assert_allclose(states[:, -1], last, rtol=1e-5, atol=1e-6)


def test_bad_calls():
  sample_fn, _ = make()
  cond = Condition(vector=jnp.zeros((4, 3)))
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(None, jax.random.key(0))
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(None, jax.random.key(0), cond, num_samples=5)
  with pytest.raises(ValueError, match='num_samples'):
    sample_fn(None, jax.random.key(0), num_samples=0)
  with pytest.raises(ValueError, match='chunk_size'):
    make(chunk_size=0)


@pytest.mark.parametrize('sigmas', [[1.0, 0.5], [1.0, 2.0, 0.0], [0.0], []])
def test_bad_grids(sigmas):
  with pytest.raises(ValueError, match='decreasing'):
    api.make_sample_fn(lambda *_: None, jnp.array(sigmas), sample_shape=(1,))
