"""idiff-train as a person runs it: exit codes, files, messages."""

import signal
import time

import chex
import pytest
import skimage.data

from internal_diffusion.data import image_io
from internal_diffusion.training import model_files
from tests.bin import commands


def train(photo, workdir, *arguments):
  return commands.run(*commands.train_command(photo, workdir, *arguments))


def run_training(photo, workdir, *arguments):
  return commands.run_process(
    *commands.train_command(photo, workdir, *arguments)
  )


def start_training(photo, workdir, *arguments):
  return commands.start(*commands.train_command(photo, workdir, *arguments))


def wait_until(condition, process):
  deadline = time.monotonic() + 90
  while not condition():
    assert time.monotonic() < deadline
    assert process.poll() is None, process.stderr.read()
    time.sleep(0.01)


def test_writes_its_report(workdir):
  content = commands.assert_report(workdir / 'report.json')
  assert content['figures']['step'] == 10
  assert content['settings']['network']['width'] == 16
  assert (workdir / 'loss.png').exists()


@pytest.mark.long
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(photo, tmp_path, number):
  process = start_training(photo, tmp_path, '--config.num_steps=100000')
  metrics = tmp_path / 'metrics.jsonl'
  wait_until(lambda: metrics.exists() and metrics.read_text(), process)
  process.send_signal(number)
  out, err = process.communicate(timeout=60)
  assert process.returncode == 0, err
  assert 'stopped at step' in out
  stopped = commands.assert_report(tmp_path / 'report.json')['figures']
  assert stopped['interrupted']
  code, _, err = train(
    photo, tmp_path, f'--config.num_steps={stopped["step"] + 5}'
  )
  assert code == 0, err
  resumed = commands.assert_report(tmp_path / 'report.json')['figures']
  assert resumed['step'] == stopped['step'] + 5


def saved_steps(workdir):
  found = workdir.glob('checkpoints/*')
  return [int(path.name) for path in found if path.name.isdigit()]


@pytest.mark.long
def test_killed_and_resumed_equals_unbroken_bit_for_bit(photo, tmp_path):
  # All in processes, which compile alike and so add in the same order.
  arguments = ('--config.num_steps=800', '--config.checkpoint.every_steps=50')
  code, _, err = run_training(photo, tmp_path / 'whole', *arguments)
  assert code == 0, err
  broken = tmp_path / 'broken'
  process = start_training(photo, broken, *arguments)
  wait_until(lambda: saved_steps(broken), process)
  process.kill()
  process.communicate()
  assert max(saved_steps(broken)) < 800
  code, _, err = run_training(photo, broken, *arguments)
  assert code == 0, err
  whole, resumed = (
    model_files.load(folder).denoiser.params
    for folder in (tmp_path / 'whole', broken)
  )
  chex.assert_trees_all_equal(whole, resumed)


def test_config_may_stand_anywhere_and_apart(photo, tmp_path):
  code, _, err = commands.run(
    'train',
    f'--config.image={photo}',
    f'--workdir={tmp_path}',
    '--config.patch_size=8',
    '--config',
    'target_given_source',
  )
  assert code == 2
  assert '--config.patch_size must be odd' in err


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
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'run')


@pytest.mark.parametrize(
  ('arguments', 'word'),
  [
    (['--config.no_such_field=3'], 'no_such_field'),
    (['--config.network.width=wide'], 'width'),
    (['--config.patch_size=6'], 'patch_size'),
    (['--config.patch_size=0'], 'patch_size'),
    (['--no_such_flag'], 'no_such_flag'),
    (['--config=configs/missing.py'], 'built-in cascade,'),
    (['stray'], 'stray'),
    (['--num_processes=2'], '--coordinator'),
    (['--coordinator=host'], 'host:port'),
    (['--coordinator=host:1', '--num_processes=2'], '--process_id'),
    (['--coordinator=auto'], 'do not meet'),
  ],
)
def test_bad_flags_give_one_line_and_code_2(photo, tmp_path, arguments, word):
  workdir = tmp_path / 'run'
  code, _, err = commands.run(
    'train', f'--config.image={photo}', f'--workdir={workdir}', *arguments
  )
  commands.assert_one_line_and_nothing_written(code, err, workdir)
  assert word in err


def test_workdir_of_another_configuration(photo, workdir):
  code, _, err = train(photo, workdir, '--config.network.depth=2')
  assert code == 2
  assert 'network.depth: 1 there, 2 here' in err


def test_workdir_that_cannot_be_made(photo, tmp_path):
  (tmp_path / 'file').write_text('')
  code, _, err = train(photo, tmp_path / 'file' / 'run')
  assert code == 2
  assert 'cannot be made a folder' in err
