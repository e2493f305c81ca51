import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.training import step as step_lib
from internal_diffusion.training.options import Optimizer, OptimizerOptions
from internal_diffusion.training.state import create_train_state
from tests.training import toy

SGD = OptimizerOptions(
  name=Optimizer.SGD, learning_rate=0.1, warmup_steps=0, clip_norm=0.0
)


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


def quadratic(key, state, data, progress, index):
  """|params - 3|^2 / 2 for every example."""
  del key, data, progress
  return jnp.broadcast_to((state.model.params - 3) ** 2 / 2, index.shape)


def take_step(options=SGD, num=4):
  state = create_train_state(
    jax.random.key(0), toy.line(), step_lib.make_optimizer(options)
  )
  step = step_lib.Step(quadratic, options, ema_decay=0.5)
  after, metrics = step(
    state, jnp.arange(num), jnp.full(num, 1 / num), None, jnp.float32(100)
  )
  return state, after, metrics


def test_one_step_is_the_formula():
  _, state, metrics = take_step()
  # Gradient -3 at learning rate 0.1; the average forgets its start:
  # (1+0)/(10+0).
  np.testing.assert_allclose(state.model.params, 0.3, rtol=1e-6)
  np.testing.assert_allclose(state.average, 0.9 * 0.3, rtol=1e-6)
  np.testing.assert_allclose(state.averaged_model.params, 0.27, rtol=1e-6)
  np.testing.assert_allclose(metrics.loss, 4.5, rtol=1e-6)
  np.testing.assert_allclose(metrics.grad_norm, 3, rtol=1e-6)
  np.testing.assert_allclose(metrics.learning_rate, 0.1, rtol=1e-6)
  assert int(state.step) == 1


def test_the_key_and_the_constants_stay():
  before, after, _ = take_step()
  np.testing.assert_array_equal(after.key_data, before.key_data)
  assert after.model.offset == before.model.offset


def test_the_gradient_is_clipped_and_its_norm_is_reported_whole():
  options = OptimizerOptions(
    name=Optimizer.SGD, learning_rate=0.1, warmup_steps=0, clip_norm=1.0
  )
  _, state, metrics = take_step(options)
  np.testing.assert_allclose(state.model.params, 0.1, rtol=1e-6)
  np.testing.assert_allclose(metrics.grad_norm, 3, rtol=1e-6)


@pytest.mark.parametrize('name', [Optimizer.ADAM, Optimizer.ADAMW])
def test_the_first_step_of_adam_is_the_learning_rate(name):
  options = OptimizerOptions(name=name, learning_rate=0.1, warmup_steps=0)
  _, state, _ = take_step(options)
  np.testing.assert_allclose(state.model.params, 0.1, rtol=1e-4)


def test_weight_decay_pulls_towards_zero():
  def params(weight_decay):
    options = OptimizerOptions(
      name=Optimizer.ADAMW, warmup_steps=0, weight_decay=weight_decay
    )
    optimizer = step_lib.make_optimizer(options)
    state = optimizer.init(jnp.float32(2))
    update, _ = optimizer.update(jnp.float32(0), state, jnp.float32(2))
    return float(update)

  np.testing.assert_allclose(params(0.1), -0.2, rtol=1e-6)
  assert params(0.0) == 0


def test_muon_makes_the_update_of_a_matrix_orthogonal():
  optimizer = step_lib.make_optimizer(OptimizerOptions(name=Optimizer.MUON))
  params = jnp.eye(4)
  gradient = jnp.diag(jnp.array([1.0, 2.0, 3.0, 4.0]))
  update, _ = optimizer.update(gradient, optimizer.init(params), params)
  scale = np.linalg.svd(update, compute_uv=False)
  assert scale.max() / scale.min() < 1.6
