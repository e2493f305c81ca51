"""The commands as a person runs them: exit codes, files, messages."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import chex
import numpy as np
import pytest
import skimage.data

from internal_diffusion.data import image_io
from internal_diffusion.training.restore import load_model

ROOT = pathlib.Path(__file__).parents[2]
SMALL = (
  '--config.network.width=16',
  '--config.network.depth=1',
  '--config.batch_size=32',
  '--config.num_references=64',
  '--config.num_devices=1',
  '--config.steps_per_call=5',
  '--config.max_side=64',
)


def start(name, *arguments, **options):
  return subprocess.Popen(
    [sys.executable, '-m', f'internal_diffusion.bin.{name}', *arguments],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    **options,
  )


def run(name, *arguments):
  process = start(name, *arguments)
  out, err = process.communicate(timeout=120)
  return process.returncode, out, err


def train(photo, workdir, *arguments):
  return run(
    'train',
    '--config=configs/patch.py',
    f'--config.image={photo}',
    f'--workdir={workdir}',
    *SMALL,
    *arguments,
  )


def assert_report(path):
  content = json.loads(pathlib.Path(path).read_text())
  keys = {'figures', 'settings', 'seed', 'versions', 'device', 'seconds'}
  assert set(content) == keys
  assert {'setup', 'compile', 'run'} <= set(content['seconds'])
  return content


@pytest.fixture(scope='session')
def photo(tmp_path_factory):
  path = tmp_path_factory.mktemp('photo') / 'photo.png'
  image_io.write_image(path, 2 * skimage.data.coffee()[::4, ::4] / 255.0 - 1)
  return path


@pytest.fixture(scope='session')
def workdir(photo, tmp_path_factory):
  path = tmp_path_factory.mktemp('run') / 'photo'
  code, out, err = train(photo, path, '--config.num_steps=10')
  assert code == 0, err
  assert '10 steps' in out
  assert 'downscaled' in err  # The photograph is larger than max_side.
  assert 'patches/s' in err
  return path


def test_train_writes_its_report(workdir):
  content = assert_report(workdir / 'report.json')
  assert content['figures']['step'] == 10
  assert content['settings']['network']['width'] == 16
  assert (workdir / 'loss.png').exists()


def test_sample_and_evaluate(photo, workdir, tmp_path):
  code, _, err = run(
    'sample', f'--workdir={workdir}', f'--out={tmp_path}', '--num_samples=1000'
  )
  assert code == 0, err
  with np.load(tmp_path / 'samples.npz') as samples:
    assert samples['patches'].shape == (1000, 7, 7, 3)
    assert abs(samples['patches']).max() <= 1
    assert samples['level'].shape == (1000,)
    assert samples['level'].max() < len(samples['level_sizes'])
  assert_report(tmp_path / 'report.json')
  assert (tmp_path / 'samples.png').exists()
  assert (tmp_path / 'denoising.png').exists()

  code, out, err = run(
    'evaluate',
    f'--reference={photo}',
    f'--generated={tmp_path}/samples.npz',
    f'--out={tmp_path}/evaluation',
  )
  assert code == 0, err
  figures = assert_report(tmp_path / 'evaluation' / 'report.json')['figures']
  assert json.loads(out) == figures
  # An untrained model is easily told from the truth; the truth is not.
  assert figures['generated']['boosted_trees_accuracy'] > 0.65
  assert figures['control']['boosted_trees_accuracy'] < 0.6
  assert (tmp_path / 'evaluation' / 'comparison.png').exists()


def test_same_seed_same_samples(workdir, tmp_path):
  for name, seed in (('a', 0), ('b', 0), ('c', 1)):
    code, _, err = run(
      'sample',
      f'--workdir={workdir}',
      f'--out={tmp_path / name}',
      '--num_samples=16',
      '--num_steps=4',
      f'--seed={seed}',
    )
    assert code == 0, err
  a, b, c = (
    np.load(tmp_path / name / 'samples.npz')['patches'] for name in 'abc'
  )
  np.testing.assert_array_equal(a, b)
  assert (a != c).any()


def test_evaluate_images(photo, tmp_path):
  code, out, err = run(
    'evaluate',
    f'--reference={photo}',
    f'--generated={photo.parent}/*.png',
    f'--out={tmp_path}',
  )
  assert code == 0, err
  assert json.loads(out)[str(photo)]['ssim'] == pytest.approx(1)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(photo, tmp_path, number):
  command = (
    'train',
    f'--config.image={photo}',
    f'--workdir={tmp_path}',
    *SMALL,
    '--config.num_steps=100000',
  )
  process = start(*command)
  deadline = time.monotonic() + 90
  while (
    not (tmp_path / 'metrics.jsonl').exists()
    or not (tmp_path / 'metrics.jsonl').read_text()
  ):
    assert time.monotonic() < deadline
    assert process.poll() is None, process.stderr.read()
    time.sleep(0.1)
  process.send_signal(number)
  out, err = process.communicate(timeout=60)
  assert process.returncode == 0, err
  assert 'stopped at step' in out
  stopped = assert_report(tmp_path / 'report.json')['figures']
  assert stopped['interrupted']
  code, _, err = train(
    photo, tmp_path, f'--config.num_steps={stopped["step"] + 5}'
  )
  assert code == 0, err
  resumed = assert_report(tmp_path / 'report.json')['figures']
  assert resumed['step'] == stopped['step'] + 5


def bad_file(directory, kind):
  """Makes a file that cannot be trained on, or names a missing one."""
  path = directory / f'{kind}.png'
  picture = 2 * skimage.data.coffee()[::16, ::16] / 255.0 - 1
  match kind:
    case 'missing':
      pass
    case 'directory':
      path.mkdir()
    case 'text':
      path.write_text('not a picture')
    case 'empty':
      path.write_bytes(b'')
    case 'truncated':
      path = directory / 'truncated.jpg'
      image_io.write_image(path, picture)
      path.write_bytes(path.read_bytes()[:1500])
    case 'pixel':
      image_io.write_image(path, picture[:1, :1])
    case 'small':
      image_io.write_image(path, picture[:5, :5])
    case 'constant':
      image_io.write_image(path, 0 * picture)
  return path


def assert_one_line_and_nothing_written(code, err, workdir):
  assert code == 2, err
  lines = err.strip().splitlines()
  assert len(lines) == 1, err
  assert 'error:' in lines[0]
  assert not workdir.exists() or not any(workdir.iterdir())


@pytest.mark.parametrize(
  'kind',
  [
    'missing',
    'directory',
    'text',
    'empty',
    'truncated',
    'pixel',
    'small',
    'constant',
  ],
)
def test_bad_images_give_one_line_and_code_2(tmp_path, kind):
  path = bad_file(tmp_path, kind)
  code, _, err = train(path, tmp_path / 'run')
  assert_one_line_and_nothing_written(code, err, tmp_path / 'run')


@pytest.mark.parametrize(
  ('arguments', 'word'),
  [
    (['--config.no_such_field=3'], 'no_such_field'),
    (['--config.network.width=wide'], 'width'),
    (['--config.patch_size=6'], 'patch_size'),
    (['--config.patch_size=0'], 'patch_size'),
    (['--no_such_flag'], 'no_such_flag'),
    (['--config=configs/missing.py'], 'missing.py'),
    (['stray'], 'stray'),
  ],
)
def test_bad_flags_give_one_line_and_code_2(photo, tmp_path, arguments, word):
  workdir = tmp_path / 'run'
  code, _, err = run(
    'train', f'--config.image={photo}', f'--workdir={workdir}', *arguments
  )
  assert_one_line_and_nothing_written(code, err, workdir)
  assert word in err


def test_required_flags(tmp_path):
  for name in ('train', 'sample', 'evaluate'):
    code, _, err = run(name)
    assert_one_line_and_nothing_written(code, err, tmp_path / 'none')
    assert 'required' in err


def test_workdir_of_another_configuration(photo, workdir):
  code, _, err = train(photo, workdir, '--config.network.depth=2')
  assert code == 2
  assert 'network.depth: 1 there, 2 here' in err


def test_workdir_that_cannot_be_made(photo, tmp_path):
  (tmp_path / 'file').write_text('')
  code, _, err = train(photo, tmp_path / 'file' / 'run')
  assert code == 2
  assert 'cannot be made a folder' in err


def test_sample_without_a_run(tmp_path):
  code, _, err = run(
    'sample', f'--workdir={tmp_path}', f'--out={tmp_path / "out"}'
  )
  assert_one_line_and_nothing_written(code, err, tmp_path / 'out')
  assert 'holds no run' in err


def test_evaluate_refuses_what_is_no_samples_file(photo, tmp_path):
  path = tmp_path / 'wrong.npz'
  np.savez(path, other=np.zeros(3))
  code, _, err = run(
    'evaluate',
    f'--reference={photo}',
    f'--generated={path}',
    f'--out={tmp_path}/o',
  )
  assert_one_line_and_nothing_written(code, err, tmp_path / 'o')


@pytest.mark.parametrize(
  'name', ['train', 'sample', 'evaluate', 'demo', 'reproduce']
)
def test_help_reads_well(name):
  code, out, err = run(name, '--help')
  assert code == 0
  assert err == ''
  assert f'idiff-{name}' in out
  assert 'Flags:' in out
  assert max(map(len, out.splitlines())) < 160


def saved_steps(workdir):
  found = workdir.glob('checkpoints/*')
  return [int(path.name) for path in found if path.name.isdigit()]


def test_killed_and_resumed_equals_unbroken_bit_for_bit(photo, tmp_path):
  arguments = ('--config.num_steps=800', '--config.checkpoint.every_steps=50')
  code, _, err = train(photo, tmp_path / 'whole', *arguments)
  assert code == 0, err
  broken = tmp_path / 'broken'
  process = start(
    'train',
    f'--config.image={photo}',
    f'--workdir={broken}',
    *SMALL,
    *arguments,
  )
  deadline = time.monotonic() + 90
  while not saved_steps(broken):
    assert time.monotonic() < deadline
    time.sleep(0.01)
  process.kill()
  process.communicate()
  assert max(saved_steps(broken)) < 800
  code, _, err = train(photo, broken, *arguments)
  assert code == 0, err
  whole, resumed = load_model(tmp_path / 'whole'), load_model(broken)
  assert whole.step == resumed.step == 800
  chex.assert_trees_all_equal(whole.params, resumed.params)


def test_config_may_stand_anywhere_and_apart(photo, tmp_path):
  code, _, err = run(
    'train',
    f'--config.image={photo}',
    '--config.num_steps=5',
    f'--workdir={tmp_path}',
    *SMALL,
    '--config',
    'configs/patch.py',
  )
  assert code == 0, err


def test_grey_photo_stays_grey(photo, tmp_path):
  grey = image_io.read_image(photo, channels=1)
  image_io.write_image(tmp_path / 'grey.png', grey)
  code, _, err = train(
    tmp_path / 'grey.png', tmp_path / 'run', '--config.num_steps=5'
  )
  assert code == 0, err
  code, _, err = run(
    'sample',
    f'--workdir={tmp_path}/run',
    f'--out={tmp_path}/out',
    '--num_samples=130',
    '--num_steps=3',
    '--s_churn=2',
  )
  assert code == 0, err
  with np.load(tmp_path / 'out' / 'samples.npz') as samples:
    assert samples['patches'].shape == (130, 7, 7, 1)
  code, _, err = run(
    'evaluate',
    f'--reference={tmp_path}/grey.png',
    f'--generated={tmp_path}/out/samples.npz',
    f'--out={tmp_path}/out',
  )
  assert code == 0, err
