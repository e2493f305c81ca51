"""The folder of a run: whose it is, and what it holds."""

import json
import multiprocessing

import numpy as np
import pytest

from internal_diffusion.options import replace, to_dict
from internal_diffusion.training import metrics, run_folder
from internal_diffusion.training.fit import fit
from tests.training import toy


def train(options, run_dir, settings=None):
  return fit(
    toy.line(),
    toy.data(),
    toy.LineLoss(),
    options,
    run_dir=run_dir,
    settings=settings,
  )


def test_holds_settings_and_logs(options, tmp_path):
  train(options, tmp_path)
  lines = metrics.read_metrics(tmp_path)
  assert [line['step'] for line in lines] == [5, 10, 15, 20]
  assert lines[-1]['loss'] < lines[0]['loss']
  assert list(tmp_path.glob('events.out.tfevents.*'))
  assert run_folder.read_settings(tmp_path) == json.loads(
    json.dumps(to_dict(options))
  )


def test_other_settings_are_refused_by_the_names_of_their_fields(
  options, tmp_path
):
  train(options, tmp_path)
  other = replace(options, ema_decay=0.5, optimizer={'warmup_steps': 7})
  with pytest.raises(
    run_folder.OtherSettingsError,
    match=r'ema_decay: 0.99 there, 0.5 here; optimizer.warmup_steps: 2 there',
  ):
    train(other, tmp_path)


def test_another_image_is_another_run(options, tmp_path):
  image = np.zeros((4, 4, 3), np.float32)

  def settings(image):
    return {'image_digest': run_folder.array_digest(image)}

  train(options, tmp_path, settings(image))
  train(options, tmp_path, settings(image.copy()))
  with pytest.raises(ValueError, match='the image itself'):
    train(options, tmp_path, settings(image + 1))


def test_a_digest_knows_values_shape_and_type():
  array = np.arange(6, dtype=np.float32)
  others = [array + 1, array.reshape(2, 3), array.astype(np.int32), array[::-1]]
  digests = {run_folder.array_digest(a) for a in (array, *others)}
  assert len(digests) == 5
  assert run_folder.array_digest(array.copy()) in digests


def test_fields_that_the_model_does_not_depend_on_may_change(options, tmp_path):
  train(options, tmp_path)
  changed = replace(
    options,
    num_steps=25,
    max_minutes=9.0,
    num_devices=2,
    steps_per_call=2,
    optimizer={'learning_rate': 1e-4, 'clip_norm': 0.5},
    checkpoint={'every_steps': 3},
  )
  assert train(changed, tmp_path).step == 25


def test_a_folder_without_a_checkpoint_is_free(options, tmp_path):
  with run_folder.open_run(tmp_path, options):
    pass
  assert train(replace(options, ema_decay=0.5), tmp_path).step == 20


def _hold(run_dir, options, is_open, may_end):
  with run_folder.open_run(run_dir, options):
    is_open.set()
    may_end.wait(60)


@pytest.mark.long
def test_the_folder_of_another_process_is_refused(options, tmp_path):
  context = multiprocessing.get_context('spawn')
  is_open, may_end = context.Event(), context.Event()
  process = context.Process(
    target=_hold, args=(tmp_path, options, is_open, may_end)
  )
  process.start()
  try:
    assert is_open.wait(60)
    with pytest.raises(ValueError, match='Another process is training'):
      train(options, tmp_path)
  finally:
    may_end.set()
    process.join()
  assert train(options, tmp_path).step == 20


def test_a_folder_in_use_is_refused(options, tmp_path):
  with (
    run_folder.open_run(tmp_path, options),
    pytest.raises(ValueError, match='Another process is training'),
  ):
    train(options, tmp_path)


def test_a_folder_that_cannot_be_made_is_an_os_error(options, tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(OSError, match='file'):
    train(options, tmp_path / 'file' / 'run')


def test_a_home_folder_is_expanded(options, tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  train(options, '~/run')
  assert (tmp_path / 'run' / run_folder.SETTINGS_NAME).is_file()


def test_damaged_and_missing_settings_are_one_line(tmp_path):
  with pytest.raises(ValueError, match='holds no run'):
    run_folder.read_settings(tmp_path)
  (tmp_path / run_folder.SETTINGS_NAME).write_text('{')
  with pytest.raises(ValueError, match='is damaged'):
    run_folder.read_settings(tmp_path)
