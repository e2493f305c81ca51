import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.state import create_train_state


def learning_rate(step, num_steps):
  return step_lib.learning_rate(
    jnp.int32(step), jnp.float32(num_steps), peak=0.5, warmup_steps=10
  )


def test_learning_rate_warms_up_peaks_and_decays_to_zero():
  np.testing.assert_allclose(learning_rate(0, 110), 0.05, rtol=1e-6)
  np.testing.assert_allclose(learning_rate(9, 110), 0.5, rtol=1e-6)
  np.testing.assert_allclose(learning_rate(60, 110), 0.25, rtol=1e-5)
  np.testing.assert_allclose(learning_rate(110, 110), 0, atol=1e-7)
  np.testing.assert_allclose(learning_rate(500, 110), 0, atol=1e-7)


def make_step(**options):
  """Quadratic loss |params - 3|^2 / 2 by plain gradient descent."""

  def batch_loss_fn(params, data, key, index):
    del data, key
    return jnp.broadcast_to((params.network['w'] - 3) ** 2 / 2, index.shape)

  optimizer = optax.sgd(1.0)
  train_step = step_lib.make_train_step(
    batch_loss_fn,
    optimizer,
    **{
      'peak_learning_rate': 0.1,
      'warmup_steps': 0,
      'ema_decay': 0.5,
      **options,
    },
  )
  basis = PrincipalBasis(jnp.zeros(1), jnp.eye(1), jnp.ones(1))
  state = create_train_state(
    jax.random.key(0), LearnedParams({'w': jnp.float32(0)}, basis), optimizer
  )
  return train_step, state


def test_one_step_is_the_formula():
  train_step, state = make_step()
  index = jnp.arange(4)
  state, metrics = train_step(state, index, None, jnp.float32(100))
  # Gradient -3 at learning rate 0.1; the average forgets its start:
  # (1+0)/(10+0).
  np.testing.assert_allclose(state.params['w'], 0.3, rtol=1e-6)
  np.testing.assert_allclose(state.ema_params['w'], 0.9 * 0.3, rtol=1e-6)
  np.testing.assert_allclose(metrics.loss, 4.5, rtol=1e-6)
  np.testing.assert_allclose(metrics.grad_norm, 3, rtol=1e-6)
  assert int(state.step) == 1


def test_the_key_stays_and_the_step_moves():
  train_step, state = make_step()
  after, _ = train_step(state, jnp.arange(2), None, jnp.float32(9))
  np.testing.assert_array_equal(after.key_data, state.key_data)


@pytest.mark.parametrize(
  'options',
  [
    {'peak_learning_rate': 0.0},
    {'peak_learning_rate': math.nan},
    {'warmup_steps': -1},
    {'ema_decay': 1.0},
  ],
)
def test_bad_options(options):
  with pytest.raises(ValueError, match='must be in'):
    make_step(**options)
