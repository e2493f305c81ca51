"""idiff-upscale as a person runs it."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.data import image_io

ROOT = pathlib.Path(__file__).parents[2]
QUICK = ('--minutes=0.02', '--num_samples=2')


def run(*arguments):
  done = subprocess.run(
    [sys.executable, '-m', 'internal_diffusion.bin.upscale', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('images')
  image = 2 * skimage.data.coffee()[100:340:6, 100:340:6] / 255.0 - 1
  image_io.write_image(path / 'coffee.png', image)  # 40x40 pixels.
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
    assert picture.size == (60, 60)
  with np.load(upscaled / 'result.npz') as found:
    assert found['mean'].shape == (60, 60, 3)
    assert found['samples'].shape == (2, 60, 60, 3)
    np.testing.assert_allclose(
      found['std'], found['samples'].std(axis=0, ddof=1), atol=1e-5
    )
    assert (found['low'] <= found['high']).all()
    assert np.ptp(found['samples'], axis=0).max() > 0
  report = json.loads((upscaled / 'report.json').read_text())
  assert report['settings']['factor'] == 1.5
  assert report['figures']['size'] == [60, 60]


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
