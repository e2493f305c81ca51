"""idiff-upscale as a person runs it."""

import json
import signal
from unittest import mock

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.configs import upscale as upscale_config
from internal_diffusion.data import image_io
from tests.bin import commands

GET_CONFIG = upscale_config.get_config
QUICK = ('--minutes=0.005', '--num_samples=2')


def small_config(**options):
  """A preset with networks that compile and run in an instant."""
  config = GET_CONFIG(**options)
  for part in (config.mean, config.deviation, config.rest):
    part.network.width, part.network.depth = 16, 1
    part.batch_size = part.num_references = 32
    part.num_devices, part.steps_per_call = 1, 5
  return config


def run(*arguments):
  with mock.patch.object(upscale_config, 'get_config', small_config):
    return commands.run('upscale', *arguments)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('images')
  image = 2 * skimage.data.coffee()[100:340:8, 100:340:8] / 255.0 - 1
  image_io.write_image(path / 'coffee.png', image)  # 30x30 pixels.
  image_io.write_image(path / 'tiny.png', image[:10, :10])
  return path


@pytest.fixture(scope='module')
def upscaled(folder, tmp_path_factory):
  path = tmp_path_factory.mktemp('upscaled')
  code, _, err = run(
    f'--image={folder / "coffee.png"}', '--factor=1.5', f'--out={path}', *QUICK
  )
  assert code == 0, err
  return path


def test_writes_mean_samples_spread_model_and_report(upscaled):
  assert {p.name for p in upscaled.iterdir()} == {
    'mean.png',
    'sample_000.png',
    'sample_001.png',
    'std.png',
    'result.npz',
    'model.npz',
    'report.json',
  }
  with Image.open(upscaled / 'mean.png') as picture:
    assert picture.size == (45, 45)
  with np.load(upscaled / 'result.npz') as found:
    assert found['mean'].shape == (45, 45, 3)
    assert found['samples'].shape == (2, 45, 45, 3)
    assert found['std'].shape == (45, 45, 3)
    assert (found['low'] < found['mean']).any()
    assert (found['low'] <= found['high']).all()
    assert np.ptp(found['samples'], axis=0).max() > 0
  report = json.loads((upscaled / 'report.json').read_text())
  assert report['settings']['factor'] == 1.5
  assert report['figures']['size'] == [45, 45]


def test_a_model_serves_another_image(folder, upscaled, tmp_path):
  code, _, err = run(
    f'--image={folder / "tiny.png"}',
    f'--workdir={upscaled}',
    f'--out={tmp_path}',
    '--num_samples=2',
  )
  assert code == 0, err
  with Image.open(tmp_path / 'sample_001.png') as picture:
    assert picture.size == (20, 20)


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    ((), ('--image',)),
    (('--image={folder}/coffee.png', '--factor=1'), ('factor', '1.1')),
    (('--image={folder}/coffee.png', '--factor=9'), ('factor', '8')),
    (('--image={folder}/coffee.png', '--factor=two'), ('factor', 'two')),
    (('--image={folder}/coffee.png', '--num_samples=0'), ('num_samples',)),
    (('--image={folder}/coffee.png', '--preset=slow'), ('preset', 'slow')),
    (('--image={folder}/coffee.png', '--minutes=-1'), ('minutes',)),
    (('--image={folder}/coffee.png', '--kernel=no.npy'), ('no.npy',)),
    (('--image={folder}/coffee.png', '--workdir={folder}'), ('model.npz',)),
    (('--image={folder}/tiny.png',), ('10x10', 'smallest')),
  ],
)
def test_bad_input_is_one_line_and_exit_code_2(
  folder, tmp_path, arguments, words
):
  given = [a.format(folder=folder) for a in arguments]
  code, _, err = run(*given, f'--out={tmp_path}')
  assert code == 2
  assert len(err.strip().splitlines()) == 1
  for word in words:
    assert word in err


def test_an_interrupted_run_ends_in_one_line_and_leaves_nothing(
  folder, tmp_path
):
  process = commands.start(
    'upscale', f'--image={folder / "coffee.png"}', f'--out={tmp_path}'
  )
  with process:
    told = ''
    while 'training' not in told:  # The progress bar of the first network.
      told += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
  assert process.returncode == 130
  assert err.splitlines()[-1] == 'idiff-upscale: interrupted'
  assert not list(tmp_path.iterdir())
