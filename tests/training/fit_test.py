"""The driver of every training, on a model of one number."""

import dataclasses
import math
import os
import signal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.options import replace
from internal_diffusion.training import metrics
from internal_diffusion.training.fit import NonFiniteLossError, Rounds, fit
from tests.training import toy


def train(options, run_dir=None, **others):
  arguments = {'model': toy.line(), 'data': toy.data(), 'loss': toy.LineLoss()}
  return fit(**{**arguments, **others}, options=options, run_dir=run_dir)


def stop_after(calls, number=signal.SIGTERM):
  """A `watch` that sends a signal to this process after some calls."""
  steps = []

  def watch(step, model):
    del model
    steps.append(step)
    if len(steps) == calls:
      os.kill(os.getpid(), number)

  return watch


def kill_after(calls):
  """A `watch` that ends the run after some calls, as a kill would."""
  steps = []

  def watch(step, model):
    del model
    steps.append(step)
    if len(steps) == calls:
      raise SystemExit

  return watch


def test_finds_the_least_squares_solution(options):
  options = replace(options, num_steps=200, ema_decay=0.9)
  fitted = train(options, loss=toy.LineLoss(noise=0.0))
  np.testing.assert_allclose(fitted.model.params, toy.SLOPE, atol=1e-2)
  assert fitted.loss < 1e-3
  assert fitted.step == 200


def test_only_the_parameters_are_trained(options):
  assert train(options).model.offset == toy.line().offset


@dataclasses.dataclass(frozen=True)
class ProgressLoss:
  def __call__(self, key, state, data, progress, index):
    del key, data
    return progress + 0 * state.model.params * index


def test_a_loss_receives_the_fraction_of_the_run_that_is_over(options):
  # The last call takes the steps 15 to 19 of 20.
  fitted = train(options, loss=ProgressLoss())
  np.testing.assert_allclose(fitted.loss, 17 / 20, rtol=1e-6)


def test_in_a_folder_it_is_the_same_run(options, tmp_path):
  chex.assert_trees_all_equal(
    train(options).model, train(options, tmp_path).model
  )


def test_the_seed_decides(options):
  first, again = train(options), train(options)
  other = train(replace(options, seed=1))
  chex.assert_trees_all_equal(first.model, again.model)
  assert other.model.params != first.model.params


def test_is_watched_after_every_call_and_the_models_may_be_kept(options):
  seen = []
  last = train(
    replace(options, num_steps=12),
    watch=lambda step, model: seen.append((step, model)),
  )
  assert [step for step, _ in seen] == [5, 10, 12]
  assert len({float(model.params) for _, model in seen}) == 3
  chex.assert_trees_all_equal(seen[-1][1], last.model)


def test_equal_losses_and_options_compile_once(options):
  train(options)
  with measure_compilation() as meter:
    train(replace(options, seed=3), data=toy.data(7.0), loss=toy.LineLoss())
  assert meter.count == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(options, tmp_path, number):
  stopped = train(options, tmp_path, watch=stop_after(2, number))
  assert stopped.interrupted
  assert stopped.step == 10
  resumed = train(options, tmp_path)
  assert (resumed.step, resumed.interrupted) == (20, False)


@pytest.mark.parametrize('calls', [1, 3])
@pytest.mark.parametrize('stop', [stop_after, kill_after])
def test_resumed_equals_unbroken_bit_for_bit(options, tmp_path, stop, calls):
  # A killed run loses the steps after its last checkpoint.
  options = replace(options, checkpoint={'every_steps': 10})
  unbroken = train(options, tmp_path / 'whole')
  try:
    train(options, tmp_path / 'broken', watch=stop(calls))
  except SystemExit:
    assert stop is kill_after
  resumed = train(options, tmp_path / 'broken')
  assert (unbroken.step, resumed.step) == (20, 20)
  chex.assert_trees_all_equal(unbroken.model, resumed.model)
  whole, broken = (
    [(line['step'], line['loss']) for line in metrics.read_metrics(d)]
    for d in (tmp_path / 'whole', tmp_path / 'broken')
  )
  assert whole == broken


def make_rounds(num=2):
  """Rounds whose data are the model's slope plus 1; a list of the slopes."""
  slopes = []

  def make_data(model):
    slopes.append(float(model.params))
    return model.params + 1

  return Rounds(num, make_data), slopes


def test_a_round_draws_from_the_data_that_its_model_makes(options):
  rounds, slopes = make_rounds(4)
  models = {}
  fitted = train(
    options,
    rounds=rounds,
    watch=lambda step, model: models.update({step: float(model.params)}),
  )
  # Rounds 1 to 3 begin at the steps 5, 10 and 15, with the averaged models.
  assert slopes == [models[5], models[10], models[15]]
  assert fitted.model.params != train(options).model.params


# The second of two rounds begins at step 10: in the first, at the boundary, in
# the second.
@pytest.mark.parametrize('calls', [1, 2, 3])
@pytest.mark.parametrize('stop', [stop_after, kill_after])
def test_a_run_of_rounds_resumes_bit_for_bit(options, tmp_path, stop, calls):
  unbroken = train(options, rounds=make_rounds()[0])
  try:
    train(options, tmp_path, rounds=make_rounds()[0], watch=stop(calls))
  except SystemExit:
    assert stop is kill_after
  resumed = train(options, tmp_path, rounds=make_rounds()[0])
  assert resumed.step == 20
  chex.assert_trees_all_equal(unbroken.model, resumed.model)


def test_a_run_that_resumes_in_a_later_round_uses_its_latest_average(
  options, tmp_path
):
  models = {}

  def watch(step, model):
    models[step] = float(model.params)
    if step == 10:
      signal.raise_signal(signal.SIGINT)

  # Step 10 is in the first of two rounds of 20 steps, and in the second of 10.
  longer = replace(options, num_steps=40)
  train(longer, tmp_path, rounds=make_rounds()[0], watch=watch)
  rounds, slopes = make_rounds()
  train(options, tmp_path, rounds=rounds)
  assert slopes == [models[10]]


def test_a_damaged_checkpoint_is_skipped_with_a_warning(options, tmp_path):
  unbroken = train(options, tmp_path / 'whole')
  train(options, tmp_path / 'broken', watch=stop_after(3))
  checkpoint = tmp_path / 'broken' / 'checkpoints' / '15'
  for path in checkpoint.rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:20])
  with pytest.warns(UserWarning, match=r'step 15.*last good one, step 10'):
    resumed = train(options, tmp_path / 'broken')
  chex.assert_trees_all_equal(unbroken.model, resumed.model)


def test_a_finished_run_is_left_as_it_is(options, tmp_path):
  first = train(options, tmp_path)
  again = train(options, tmp_path)
  assert again.step == first.step
  assert math.isnan(again.loss)
  chex.assert_trees_all_equal(first.model, again.model)


def test_more_steps_may_be_asked_for(options, tmp_path):
  train(options, tmp_path)
  assert train(replace(options, num_steps=30), tmp_path).step == 30


def test_a_loss_that_is_not_finite_names_its_step(options):
  with pytest.raises(NonFiniteLossError, match='not finite at step 8;') as info:
    train(options, loss=toy.LineLoss(bad_step=8))
  assert isinstance(info.value, FloatingPointError)
  assert '\n' not in str(info.value)


def test_a_folder_goes_on_after_a_loss_that_is_not_finite(options, tmp_path):
  with pytest.raises(NonFiniteLossError, match=r'Last good checkpoint: step 5'):
    train(options, tmp_path, loss=toy.LineLoss(bad_step=8))
  lower = replace(options, optimizer={'learning_rate': 0.01})
  assert train(lower, tmp_path).step == 20


def test_a_rate_that_diverges_is_such_a_loss(options):
  wild = replace(options, optimizer={'learning_rate': 1e30, 'clip_norm': 0.0})
  with pytest.raises(NonFiniteLossError):
    train(wild)


def test_a_run_bounded_by_time_stops(options):
  bounded = replace(options, num_steps=0, max_minutes=1e-6)
  fitted = train(bounded)
  assert fitted.step == options.steps_per_call
  assert fitted.seconds['run'] > 0


def test_time_goes_on_where_it_stopped(options, tmp_path):
  bounded = replace(
    options,
    num_steps=0,
    max_minutes=0.002,
    checkpoint={'every_steps': 10**6},
  )
  first = train(bounded, tmp_path)
  assert train(bounded, tmp_path).step == first.step


def test_the_bar_shows_the_time_left_from_the_first_second(options, capsys):
  train(replace(options, num_steps=0, max_minutes=0.002), progress=True)
  shown = capsys.readouterr().err.split('\r')
  assert '00:00 left' in next(part for part in shown if 'step 0' in part)
  train(replace(options, num_steps=20, max_minutes=90), progress=True)
  shown = [x for x in capsys.readouterr().err.split('\r') if 'left' in x]
  assert '1:30:00 left' in shown[0]
  assert '100%' in shown[-1]
  assert 'step 20' in shown[-1]


def test_a_model_of_several_devices_is_on_the_first(options):
  watched = []
  many = train(
    replace(options, num_devices=3),
    rounds=make_rounds()[0],
    watch=lambda step, model: watched.append(model),
  ).model
  one = train(options, rounds=make_rounds()[0]).model
  first = {jax.local_devices()[0]}
  for model in (many, *watched):
    assert all(leaf.devices() == first for leaf in jax.tree.leaves(model))
  # Arrays of different devices could not be compared.
  chex.assert_trees_all_close(many, one, rtol=1e-5)
  assert abs(many.params - one.params) < 1e-5


def test_too_many_devices_are_refused_before_any_work(options, tmp_path):
  with pytest.raises(ValueError, match=r'`num_devices`.*99'):
    train(replace(options, num_devices=99), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  'setting',
  [
    jax.enable_x64(True),
    jax.debug_nans(True),
    jax.numpy_rank_promotion('raise'),
    jax.numpy_dtype_promotion('strict'),
  ],
)
def test_the_settings_of_a_program_change_nothing(options, setting):
  expected = train(options)
  with setting:
    found = train(options)
  chex.assert_trees_all_equal(found.model, expected.model)
  assert found.model.params.dtype == jnp.float32
