import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.training import parallel
from internal_diffusion.training.options import Optimizer, OptimizerOptions
from internal_diffusion.training.state import create_train_state
from internal_diffusion.training.step import Step, make_optimizer
from tests.training import toy

OPTIONS = OptimizerOptions(
  name=Optimizer.SGD, learning_rate=0.05, warmup_steps=3, clip_norm=0.0
)


@pytest.mark.parametrize('num_devices', range(1, 9))
@pytest.mark.parametrize('batch_size', [1, 7, 256])
def test_every_example_counts_once(batch_size, num_devices):
  index, weight = parallel.divide_batch(batch_size, num_devices)
  assert index.shape == weight.shape
  assert len(index) == num_devices
  assert index.size - batch_size < num_devices
  total = np.bincount(
    index.ravel(), weights=weight.ravel(), minlength=batch_size
  )
  np.testing.assert_allclose(total, 1 / batch_size, rtol=1e-6)


def run(num_devices, batch_size=256):
  state = create_train_state(
    jax.random.key(0), toy.line(), make_optimizer(OPTIONS)
  )
  return parallel.run_steps(
    state,
    toy.data(),
    Step(toy.LineLoss(batch_size=batch_size), OPTIONS, ema_decay=0.9),
    num_steps=20,
    batch_size=batch_size,
    num_devices=num_devices,
    num_substeps=20,
  )


def check(num_devices):
  one, metrics_one = run(1)
  many, metrics_many = run(num_devices)
  assert int(many.step) == 20
  chex.assert_trees_all_close(metrics_many, metrics_one, rtol=1e-4)
  chex.assert_trees_all_close(
    (many.model, many.average), (one.model, one.average), rtol=1e-5
  )
  # It has learnt, so the equality is of more than the initial values.
  assert abs(float(one.model.params)) > 0.3


@pytest.mark.parametrize('num_devices', [2, 3, 4])
def test_many_devices_are_one_on_the_merged_batch(num_devices):
  check(num_devices)


@pytest.mark.long
def test_so_are_up_to_eight():
  code = (
    'from tests.training import parallel_test\n'
    'for num in (5, 6, 7, 8): parallel_test.check(num)'
  )
  flags = '--xla_force_host_platform_device_count=8'
  subprocess.run(
    [sys.executable, '-c', code],
    check=True,
    env={**os.environ, 'XLA_FLAGS': flags},
    timeout=200,
  )


def test_all_devices_are_the_default():
  assert parallel.num_devices(0) == jax.local_device_count()
  assert parallel.num_devices(3) == 3
  with pytest.raises(ValueError, match=r'`num_devices`.*99'):
    parallel.num_devices(99)


def test_the_metrics_are_those_of_each_step():
  _, metrics = run(2)
  rate = OPTIONS.learning_rate * (1 + np.arange(3)) / 3
  np.testing.assert_allclose(metrics.learning_rate[:3], rate, rtol=1e-5)
  assert jnp.mean(metrics.loss[-5:]) < jnp.mean(metrics.loss[:5])
