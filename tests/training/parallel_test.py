import jax
import numpy as np
import pytest

from internal_diffusion.training import examples, parallel, setup


def train_steps(run, config, num_devices):
  state = run.initial_state()
  train_fn = parallel.compile_train_fn(
    run.train_step,
    state,
    run.data,
    num_substeps=20,
    batch_size=config.batch_size,
    devices=jax.local_devices()[:num_devices],
  )
  return train_fn(state, run.data, 20)


def test_four_devices_are_one_on_the_merged_batch(image, config):
  run = setup.make_run(examples.from_image(image, config), config)
  one, metrics_one = train_steps(run, config, 1)
  four, metrics_four = train_steps(run, config, 4)
  assert int(four.step) == 20
  np.testing.assert_allclose(metrics_four.loss, metrics_one.loss, rtol=1e-4)
  for a, b in zip(
    jax.tree.leaves((one.params, one.ema_params)),
    jax.tree.leaves((four.params, four.ema_params)),
    strict=True,
  ):
    np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)


def test_devices_must_divide_the_batch(image, config):
  config.batch_size = 30
  with pytest.raises(ValueError, match='multiple of the number of devices'):
    train_steps(
      setup.make_run(examples.from_image(image, config), config), config, 4
    )
