import json
import math
import os
import signal

import jax
import numpy as np
import pytest

from internal_diffusion import figures
from internal_diffusion.applications import model_sampling, patch_generation
from internal_diffusion.training import (
  loop,
  objective,
  restore,
  workdir,
  writers,
)


def leaves(params):
  return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def assert_same_params(a, b):
  for x, y in zip(leaves(a), leaves(b), strict=True):
    np.testing.assert_array_equal(x, y)


def train(image, config, workdir):
  return loop.train(image, config, workdir, progress=False)


def test_resumed_equals_unbroken_bit_for_bit(image, config, tmp_path):
  unbroken = train(image, config, tmp_path / 'whole')
  stop_after(config, tmp_path / 'broken', image, calls=2)
  resumed = train(image, config, tmp_path / 'broken')
  assert (unbroken.step, resumed.step) == (20, 20)
  assert_same_params(unbroken.params, resumed.params)
  whole, broken = (
    [(line['step'], line['loss']) for line in writers.read_metrics(d)]
    for d in (tmp_path / 'whole', tmp_path / 'broken')
  )
  assert whole == broken


def stop_after(config, workdir, image, *, calls, number=signal.SIGTERM):
  """Sends a signal to the run after so many calls."""
  write = writers.MetricWriter.write
  count = 0

  def write_then_stop(self, step, **scalars):
    nonlocal count
    write(self, step, **scalars)
    count += 1
    if count == calls:
      os.kill(os.getpid(), number)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(writers.MetricWriter, 'write', write_then_stop)
    return train(image, config, workdir)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(image, config, tmp_path, number):
  result = stop_after(config, tmp_path, image, calls=1, number=number)
  assert result.interrupted
  assert result.step == 5
  assert restore.load_model(tmp_path).step == 5


def test_trained_model_comes_back(image, config, tmp_path):
  config.num_steps = 7  # Not a multiple of the steps in a call.
  result = train(image, config, tmp_path)
  model = restore.load_model(tmp_path)
  assert model.step == 7
  assert model.image_shape == (32, 48, 3)
  assert model.level_sizes[0] == (32, 48)
  assert_same_params(result.params, model.params)


def test_writes_what_it_measures(image, config, tmp_path):
  train(image, config, tmp_path)
  lines = [
    json.loads(line)
    for line in (tmp_path / writers.LOG_NAME).read_text().splitlines()
  ]
  assert [line['step'] for line in lines] == [5, 10, 15, 20]
  assert all(math.isfinite(line['loss']) for line in lines)
  assert (tmp_path / 'loss.png').read_bytes().startswith(b'\x89PNG')
  assert list(tmp_path.glob('events.out.tfevents.*'))


def test_learns(image, config, tmp_path):
  config.network.width = 64
  config.batch_size = config.num_references = 256
  config.num_steps = 200
  config.steps_per_call = 20
  config.checkpoint.every_steps = 200
  train(image, config, tmp_path)
  loss = [line['loss'] for line in writers.read_metrics(tmp_path)]
  # 1 is the Wiener filter's, on single patches as targets.
  assert loss[0] < 1
  assert loss[-1] < 0.92 * loss[0]


def test_stops_on_time(image, config, tmp_path):
  config.num_steps = 0
  config.max_minutes = 1e-6
  result = train(image, config, tmp_path)
  assert result.step == config.steps_per_call


def test_non_finite_loss_names_step_and_checkpoint(
  image, config, tmp_path, monkeypatch
):
  batch_loss_fn = objective.make_batch_loss_fn

  def make_poisoned(*arguments):
    inner = batch_loss_fn(*arguments)

    def poisoned(params, data, key, index):
      losses = inner(params, data, key, index)
      bias = jax.tree.leaves(params.network)[0]
      # NaN once the parameters have moved far enough.
      return losses / (abs(bias).max() < 0.002)

    return poisoned

  monkeypatch.setattr(objective, 'make_batch_loss_fn', make_poisoned)
  config.optimizer.learning_rate = 1e-3
  with pytest.raises(
    loop.NonFiniteLossError, match=r'at step \d+.*checkpoint: step \d+'
  ) as error:
    train(image, config, tmp_path)
  bad_step = int(str(error.value).split('at step ')[1].split(';')[0])
  good = restore.load_model(tmp_path)
  assert good.step < bad_step
  assert all(np.isfinite(leaf).all() for leaf in leaves(good.params))


def test_other_configuration_says_which_fields_differ(image, config, tmp_path):
  train(image, config, tmp_path)
  config.network.width = 64
  config.patch_size = 3
  with pytest.raises(
    ValueError, match=r'network.width: 32 there, 64 here; patch_size: 5'
  ):
    train(image, config, tmp_path)


def test_other_image_is_another_run(image, config, tmp_path):
  train(image, config, tmp_path)
  with pytest.raises(ValueError, match='the photograph itself'):
    train(image[::-1], config, tmp_path)


def test_finished_run_is_left_as_it_is(image, config, tmp_path):
  first = train(image, config, tmp_path)
  again = train(image, config, tmp_path)
  assert (again.step, again.loss) == (first.step, first.loss)
  assert_same_params(first.params, again.params)


def test_folder_without_a_checkpoint_takes_any_configuration(
  image, config, tmp_path
):
  with workdir.claimed_workdir(tmp_path, config, image):
    pass
  config.network.depth = 2
  assert train(image, config, tmp_path).step == 20


def test_two_processes_cannot_share_a_folder(image, config, tmp_path):
  with (
    workdir.claimed_workdir(tmp_path, config, image),
    pytest.raises(ValueError, match='Another process'),
  ):
    train(image, config, tmp_path)


def test_learning_rate_may_be_lowered(image, config, tmp_path):
  train(image, config, tmp_path)
  config.num_steps, config.optimizer.learning_rate = 25, 1e-4
  assert train(image, config, tmp_path).step == 25


def test_time_goes_on_where_it_stopped(image, config, tmp_path):
  config.num_steps, config.max_minutes = 0, 0.01
  config.checkpoint.every_steps = 10**6
  first = train(image, config, tmp_path)
  (tmp_path / writers.LOG_NAME).unlink()
  assert train(image, config, tmp_path).step == first.step


@pytest.mark.parametrize('patch_size', [1, 3])
def test_grey_images_and_small_patches(image, config, tmp_path, patch_size):
  config.patch_size = patch_size
  train(image[..., :1], config, tmp_path)
  model = restore.load_model(tmp_path)
  found = patch_generation.generate_patches(
    jax.random.key(0),
    model,
    model_sampling.make_model_sample_fn(model, num_steps=3),
    num=10,
  )
  assert found.patches.shape == (10, patch_size, patch_size, 1)
  states, sigmas = patch_generation.denoising_states(
    jax.random.key(0), model, num=2, num_steps=3
  )
  figures.denoising_strip(states, sigmas)


def test_more_steps_may_be_asked_for(image, config, tmp_path):
  train(image, config, tmp_path)
  config.num_steps = 30
  assert train(image, config, tmp_path).step == 30


def test_seed_decides(image, config, tmp_path):
  config.num_steps = 5
  a = train(image, config, tmp_path / 'a')
  b = train(image, config, tmp_path / 'b')
  assert_same_params(a.params, b.params)
  config.seed = 1
  c = train(image, config, tmp_path / 'c')
  assert any(
    (x != y).any()
    for x, y in zip(leaves(a.params), leaves(c.params), strict=True)
  )


@pytest.mark.parametrize('name', ['edm', 'vp_eps', 'vp_v', 've_score', 'flow'])
def test_other_parametrizations_learn(image, config, tmp_path, name):
  config.parametrization = name
  config.num_steps = 150
  config.steps_per_call = 50
  result = train(image, config, tmp_path)
  lines = writers.read_metrics(tmp_path)
  assert math.isfinite(result.loss)
  assert lines[-1]['loss'] < lines[0]['loss']


@pytest.mark.parametrize('name', ['adamw', 'muon', 'sgd'])
def test_other_optimizers(image, config, tmp_path, name):
  config.optimizer.name = name
  config.num_steps = 5
  result = train(image, config, tmp_path)
  assert math.isfinite(result.loss)


def set_field(config, path, value):
  *groups, name = path.split('.')
  for group in groups:
    config = config[group]
  config[name] = value


@pytest.mark.parametrize(
  ('path', 'value', 'message'),
  [
    ('patch_size', 0, 'patch_size'),
    ('patch_size', 6, 'odd'),
    ('patch_size', 15, 'coarsest level'),
    ('patch_size', 35, 'larger than the smallest side'),
    ('pyramid.scale_factor', 1.0, 'scale_factor'),
    ('pyramid.level_power', 2.0, 'power'),
    ('network.width', 0, 'network.width'),
    ('network.embedding_dim', 63, 'network.embedding_dim'),
    ('seed', -1, 'seed'),
    ('network.compute_dtype', 'float16', 'compute_dtype'),
    ('noise.draw', 'cauchy', 'noise.draw'),
    ('parametrization', 'vp', 'parametrization'),
    ('noise.sigma_max', 0.001, 'sigma_max'),
    ('optimizer.name', 'lion', 'optimizer.name'),
    ('optimizer.learning_rate', -1.0, 'learning_rate'),
    ('ema_decay', 1.0, 'ema_decay'),
    ('batch_size', 0, 'batch_size'),
    ('num_devices', 99, 'num_devices'),
    ('num_steps', 0, 'never end'),
    ('steps_per_call', 0, 'steps_per_call'),
    ('checkpoint.keep', 0, 'checkpoint.keep'),
  ],
)
def test_bad_fields_are_refused_before_anything_is_written(
  image, config, tmp_path, path, value, message
):
  set_field(config, path, value)
  with pytest.raises(ValueError, match=message):
    train(image, config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda image: image * 0 + 0.5, 'constant'),
    (lambda image: image * np.nan, 'finite'),
    (lambda image: image[..., 0], r'\[H, W, C\]'),
    (lambda image: (127 * image).astype(np.uint8), 'uint8'),
    (lambda image: image[:4], 'smallest side'),
  ],
)
def test_bad_images_are_refused(image, config, tmp_path, make, message):
  with pytest.raises(ValueError, match=message):
    train(make(image), config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_folder_without_a_run(tmp_path):
  with pytest.raises(ValueError, match='holds no run'):
    restore.load_model(tmp_path)
